"""Trust policies in the forms that occur in practice."""

from __future__ import annotations

from typing import Any

import pytest

from fargate_ops.release.checks.trust import trusts

ECS = {"Service": "ecs-tasks.amazonaws.com"}


def statement(
    principal: Any = ECS, action: Any = "sts:AssumeRole", effect: str = "Allow", **more: Any
) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": action, **more}


@pytest.mark.parametrize(
    "statements",
    [
        statement(),
        [statement()],
        [statement(principal={"Service": ["lambda.amazonaws.com", "ecs-tasks.amazonaws.com"]})],
        [statement(action=["sts:TagSession", "sts:AssumeRole"])],
        [statement(action="sts:*")],
        [statement(action="STS:assumerole")],
        [statement(principal={"Service": "lambda.amazonaws.com"}), statement()],
        [statement(), statement(effect="Deny", Condition={"StringNotEquals": {"aws:SourceAccount": "1"}})],
    ],
)
def test_trusted(statements: Any) -> None:
    assert trusts({"Version": "2012-10-17", "Statement": statements})


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"Statement": []},
        {"Statement": [statement(effect="Deny")]},
        {"Statement": [statement(), statement(effect="Deny")]},
        {"Statement": [statement(principal={"Service": "ecs.amazonaws.com"})]},
        {"Statement": [statement(principal={"AWS": "ecs-tasks.amazonaws.com"})]},
        {"Statement": [statement(principal="*")]},
        {"Statement": [statement(action="sts:TagSession")]},
        # Two incomplete statements do not add up to trust.
        {"Statement": [statement(action="sts:TagSession"), statement(principal={"Service": "lambda.amazonaws.com"})]},
    ],
)
def test_not_trusted(policy: dict[str, Any]) -> None:
    assert not trusts(policy)

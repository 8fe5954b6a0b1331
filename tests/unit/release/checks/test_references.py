"""How ``valueFrom`` is parsed."""

from __future__ import annotations

import pytest

from fargate_ops.release.checks.references import Reference

SECRET = "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:app/database-Ab12Cd"
PARAMETER = "arn:aws:ssm:ap-northeast-2:000000000000:parameter/app/token"


@pytest.mark.parametrize(
    ("value_from", "reference", "name"),
    [
        (SECRET, Reference(arn=SECRET), "app/database-Ab12Cd"),
        (f"{SECRET}:key::", Reference(arn=SECRET, key="key"), "app/database-Ab12Cd"),
        (f"{SECRET}:::v1", Reference(arn=SECRET, version="v1"), "app/database-Ab12Cd"),
        (f"{SECRET}:key:AWSPREVIOUS:", Reference(arn=SECRET, key="key", stage="AWSPREVIOUS"), "app/database-Ab12Cd"),
        (PARAMETER, Reference(arn=PARAMETER), "parameter/app/token"),
        ("token", Reference(arn="token"), "token"),
    ],
)
def test_a_value_from_taken_apart(value_from: str, reference: Reference, name: str) -> None:
    assert Reference.parse(value_from) == reference
    assert reference.name == name
    assert reference.is_parameter == (not value_from.startswith(SECRET))

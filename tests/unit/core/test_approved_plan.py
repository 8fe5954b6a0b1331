"""A deployment is compared with the plan that was approved, section by section."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fargate_ops.core.approved_plan import PlanDocument, Section, differences, hashed, read, require_approved
from fargate_ops.core.problem import ProblemError

INFRASTRUCTURE: Section = {
    "update aws_lb.this": {"idle_timeout": "1", "name": "2"},
    "create aws_eip.a": {"domain": "3"},
}
APPROVED = PlanDocument("qa", {"environment": INFRASTRUCTURE, "release": {"image": {"digest": "sha256:1"}}})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(APPROVED.to_json())
    return path


def refusal(file: Path, name: str, now: Section, environment: str = "qa") -> str:
    try:
        require_approved(file, environment, name, now)
    except ProblemError as error:
        return str(error)
    return ""


def test_what_was_approved_is_accepted(file: Path) -> None:
    assert read(file, "qa") == APPROVED
    assert not refusal(file, "environment", dict(reversed(list(INFRASTRUCTURE.items()))))
    assert not refusal(file, "release", {"image": {"digest": "sha256:1"}})


def test_each_difference_is_named_with_the_next_command(file: Path) -> None:
    now = {
        "update aws_lb.this": {"idle_timeout": "other", "subnets": "new"},
        "destroy aws_lb.that": {},
    }
    assert refusal(file, "environment", now) == (
        "Nothing was changed: this deployment is not the approved one:\n"
        "  create aws_eip.a: was approved, and would not happen\n"
        "  destroy aws_lb.that: was not approved\n"
        "  update aws_lb.this: not as approved: idle_timeout, name, subnets\n"
        f"  where: the approved plan {APPROVED.fingerprint} in {file}\n"
        "  next:  make plan ENV=qa, and let the new plan be approved; at GitHub: run the workflow deploy again"
    )


def test_a_section_that_was_not_planned_approves_no_change(file: Path) -> None:
    assert not refusal(file, "account", {})
    assert "create aws_vpc.this: was not approved" in refusal(file, "account", {"create aws_vpc.this": {}})


def test_the_same_change_by_another_action_is_another_one() -> None:
    assert list(differences({"update aws_lb.this": {}}, {"replace aws_lb.this": {}}))


@pytest.mark.parametrize(
    "content",
    ["", "no JSON", "[]", "{}", '{"environment": "qa"}', '{"environment": "qa", "sections": {"environment": {}}}'],
)
def test_an_incomplete_plan_approves_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(content)
    assert "the approved plan cannot be read" in refusal(path, "environment", {})
    assert "the approved plan cannot be read" in refusal(tmp_path / "missing.json", "environment", {})


def test_another_environment_s_plan_approves_nothing(file: Path) -> None:
    assert "is of qa, not of production" in refusal(file, "environment", INFRASTRUCTURE, "production")


def test_the_fingerprint_is_of_everything_and_independent_of_order(file: Path) -> None:
    (release,) = [APPROVED.sections["release"]]
    same = PlanDocument("qa", {"release": release, "environment": dict(reversed(list(INFRASTRUCTURE.items())))})
    assert same.fingerprint == APPROVED.fingerprint
    assert PlanDocument("qb", APPROVED.sections).fingerprint != APPROVED.fingerprint
    assert PlanDocument("qa", {"release": release}).fingerprint != APPROVED.fingerprint
    assert json.loads(file.read_text())["environment"] == "qa"


def test_a_hash_shows_no_value() -> None:
    assert len({hashed(value) for value in (1, "1", True, None, [], {})}) == 6
    assert "333333333333" not in hashed({"arn": "arn:aws:ecs:ap-northeast-2:333333333333:cluster/a"})

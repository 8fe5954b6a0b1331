"""A saved plan is read and recorded, and refused if it must not be applied."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform.cause import write_record
from fargate_ops.terraform.guard import SavedPlan, causes, difference, guard
from fargate_ops.terraform.plan import Plan, read_plan
from fargate_ops.terraform.workspace import FINGERPRINT, LOCK_FILE

BACKEND = {"bucket": "state-bucket", "key": "qa/environment.tfstate", "region": "ap-northeast-2"}
LOCK = 'provider "registry.terraform.io/hashicorp/aws" {\n  version = "6.25.0"\n}\n'


def plan(*actions: str, complete: bool = True) -> Plan:
    change = {"actions": list(actions), "before": {}, "after": {}}
    resource = {"address": "aws_lb.this", "type": "aws_lb", "mode": "managed", "change": change}
    return read_plan({"resource_changes": [resource] if actions else [], "complete": complete})


def refused(found: Plan, *, playbook: str = "playbooks/deploy.yml", **changes: Any) -> str:
    """Return the refusal, or an empty string if there is none."""
    options: dict[str, Any] = {"protected_types": ["aws_lb"], "allowed": []}
    say: Callable[[], Sequence[str]] = lambda: ["network_zones: was 2, is 3"]  # noqa: E731
    try:
        guard(found, Path("terraform"), "qa", playbook, causes=say, **{**options, **changes})
    except ProblemError as error:
        return str(error)
    return ""


def test_a_plan_that_only_adds_is_applied() -> None:
    assert not refused(plan("create"))
    assert not refused(plan("delete"), allowed=["aws_lb.this"])


def test_a_protected_resource_is_refused_with_the_cause_and_the_command() -> None:
    said = refused(plan("delete"))
    assert "network_zones: was 2, is 3" in said
    assert "make deploy ENV=qa ARGS='-e terraform_stack_allow=aws_lb.this'" in said
    assert "make infra ENV=qa" in refused(plan("delete"), playbook="playbooks/infra.yml")
    assert "make deploy ENV=qa" in refused(plan("delete"), playbook="playbooks/plan.yml")


def test_a_database_is_turned_off_in_the_printed_steps() -> None:
    def off(**before: Any) -> str:
        changes = [
            {"address": address, "type": kind, "mode": "managed", "change": {"actions": ["delete"], "before": before}}
            for address, kind in (
                ("module.rds[0].aws_db_instance.this", "aws_db_instance"),
                ("module.ecs.aws_secretsmanager_secret.app_database[0]", "aws_secretsmanager_secret"),
            )
        ]
        types = ["aws_db_instance", "aws_secretsmanager_secret"]
        return refused(read_plan({"resource_changes": changes}), protected_types=types)

    said = off(skip_final_snapshot=False)
    steps = [line.strip() for line in said.partition("next:")[2].splitlines()]
    assert steps[0].startswith("set app_database: true; or,")
    assert [step.partition("make ")[2] for step in steps[1:]] == [
        "infra ENV=qa",
        "release ENV=qa",
        "deploy ENV=qa ARGS='-e terraform_stack_allow=module.rds[0].aws_db_instance.this,"
        "module.ecs.aws_secretsmanager_secret.app_database[0]'",
    ]
    assert "are in its final snapshot" in said
    assert "are lost" in off(skip_final_snapshot=True)


def test_a_plan_of_a_part_is_refused() -> None:
    assert "covers a part of the configuration only" in refused(plan("create", complete=False))


def test_a_difference_is_a_line_for_each_change() -> None:
    assert difference(plan("create")) == "create 1\n+ aws_lb.this\n"
    assert difference(plan()) == ""


@pytest.fixture
def saved(tmp_path: Path) -> SavedPlan:
    root, data_dir = tmp_path / "root", tmp_path / "data"
    root.mkdir()
    data_dir.mkdir()
    (root / LOCK_FILE).write_text(LOCK)
    launcher = tmp_path / "terraform.sh"
    launcher.write_text('#!/bin/sh\n[ -e "$PLAN" ] || { echo "no plan" >&2; exit 1; }\necho "{\\"said\\": \\"$*\\"}"\n')
    launcher.chmod(0o755)
    file = data_dir / "apply.tfplan"
    file.touch()
    return SavedPlan(
        root=root, data_dir=data_dir, file=str(file), launcher=str(launcher), environment={"PLAN": str(file)}
    )


def test_terraform_shows_a_plan_under_the_given_environment(saved: SavedPlan) -> None:
    assert json.loads(saved.show("-json"))["said"] == f"show -no-color -json {saved.file}"
    assert saved.document("") == {"said": f"show -no-color -json {saved.file}"}
    Path(saved.file).unlink()
    with pytest.raises(ProblemError, match="The plan cannot be read: no plan"):
        saved.show()
    # A plan that terraform plan reported as empty is not read at all.
    assert saved.document("\nNo changes. Your infrastructure matches the configuration.") == {}


def test_the_whole_plan_is_kept_for_the_owner_only(saved: SavedPlan) -> None:
    kept = saved.keep("Plan: 1 to add, 0 to change, 0 to destroy.\n")
    assert kept == saved.data_dir / "apply.txt"
    assert kept.read_text() == "Plan: 1 to add, 0 to change, 0 to destroy.\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert saved.keep("another\n").read_text() == "another\n"


def test_an_init_is_recorded_with_the_provider_that_it_chose(saved: SavedPlan) -> None:
    saved.record_init("abc", ">= 6")
    assert (saved.data_dir / FINGERPRINT).read_text() == "abc"
    assert (saved.data_dir / LOCK_FILE).read_text() == LOCK
    (saved.root / LOCK_FILE).unlink()
    saved.record_init("def", "")
    assert (saved.data_dir / FINGERPRINT).read_text() == "def"


def test_another_provider_than_the_declared_one_is_refused(saved: SavedPlan) -> None:
    with pytest.raises(ProblemError, match=r"declares provider hashicorp/aws 6\.26\.0, init chose 6\.25\.0"):
        saved.record_init("abc", "= 6.26.0")
    assert not (saved.data_dir / FINGERPRINT).exists()


def test_the_causes_are_what_differs_since_the_last_apply(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(**variables: Any) -> str:
        return "; ".join(causes(s3, BACKEND, variables, {"zones": "network_zones"}, Path("terraform")))

    assert "of the last apply are not known" in found(zones=3)
    write_record(s3, BACKEND["bucket"], BACKEND["key"], {"zones": 2})
    assert found(zones=3) == "network_zones: was 2, is 3"
    assert "no value of the inventory differs" in found(zones=2)

    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    monkeypatch.setattr(s3, "get_object", refuse)
    assert "cannot be read: An error occurred (AccessDenied)" in found(zones=2)

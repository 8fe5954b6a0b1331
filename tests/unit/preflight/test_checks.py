"""The checks of a preflight, with the inventory's values and in check mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fargate_ops.inventory.preflight import Given
from fargate_ops.preflight import cloud, machine
from fargate_ops.preflight.checks import Checks
from tests.support.ports import closed_port

VALUES = {"aws_region": "ap-northeast-2", "aws_account_id": "123456789012", "env_name": "qa", "image_registry": ""}


class Sts:
    def get_caller_identity(self) -> Any:
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ann"}


def checks(**changes: Any) -> Checks:
    def given() -> Given:
        raise AssertionError("the inventory is read by its own check only")

    values: dict[str, Any] = {
        "project_dir": str(Path(__file__).parents[3]),
        "allow_dirty": True,
        "allow_shallow": True,
        "docker_host": "",
        "disk_paths": ["/"],
        "disk_free_gib": 0,
        "environment": {},
        "value": VALUES.__getitem__,
        "given": given,
        "memory_free_gib": 0,
        "required_programs": {},
        "github_repository": "",
        "client": lambda service, region: Sts(),
        "preview": False,
    }
    return Checks(**{**values, **changes})


@pytest.fixture
def silent() -> dict[str, str]:
    """Return the environment of an endpoint at which nothing listens."""
    return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed_port()}"}


def test_the_account_is_the_declared_one() -> None:
    regions: list[str] = []

    def client(service: str, region: str) -> Sts:
        regions.append(f"{service} {region}")
        return Sts()

    assert checks(client=client).account().status == "OK"
    assert regions == ["sts ap-northeast-2"]


def test_a_silent_endpoint_is_a_problem_and_in_check_mode_not_known_yet(silent: dict[str, str]) -> None:
    assert checks(environment=silent).account().status == "FAIL"
    preview = checks(environment=silent, preview=True).account()
    assert (preview.status, preview.summary.startswith("not known yet: http://127.0.0.1:")) == ("SKIP", True)


def test_disk_and_git_are_looked_at_where_the_arguments_say() -> None:
    assert checks().disk().status == "OK"
    assert checks(disk_free_gib=10**9).disk().status == "FAIL"
    assert checks(project_dir="/").git().status == "FAIL"


def test_the_engine_gets_the_plays_environment_and_may_start_later_in_check_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(machine, "check_engine", lambda *args, **options: seen.append((args, options)))
    checks(environment={"DOCKER_HOST": "tcp://x"}, docker_host="unix:///y", preview=True).engine()
    (((environment, required), options),) = seen
    assert (environment["DOCKER_HOST"], required, options) == ("tcp://x", "unix:///y", {"may_start_later": True})


def test_the_registry_and_the_inventory_are_those_of_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(cloud, "check_registry", lambda address, **options: seen.append((address, options)))
    checks(value=lambda name: f"the {name}").registry()
    assert seen == [("the image_registry", {"may_start_later": False})]
    with pytest.raises(AssertionError, match="by its own check only"):
        checks().inventory()


def test_a_bucket_behind_a_silent_endpoint_is_not_known_yet(silent: dict[str, str]) -> None:
    assert checks(environment=silent).bucket().summary.startswith("not known yet: http://127.0.0.1:")


def test_an_emulator_has_the_clock_of_this_machine(silent: dict[str, str]) -> None:
    assert checks(environment=silent).clock().summary.endswith(" UTC")
    assert checks().clock().summary == "not known: AWS sent no date"


def test_the_other_checks_get_their_arguments() -> None:
    assert checks(memory_free_gib=10**6).memory().status == "FAIL"
    assert checks(required_programs={"no-such-program": "install it"}).programs().problems[0].next_step == "install it"
    assert checks().programs().summary == "none is needed"
    assert checks().github().status == "SKIP"
    assert checks().identity().check == "identity"
    assert checks().python().check == "python"

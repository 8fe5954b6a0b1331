"""The two steps of a restore: the inventory's file, the output and the report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.core.application import Application
from fargate_ops.core.problem import OperationsError, ProblemError
from fargate_ops.database.restore import flow
from fargate_ops.database.restore.flow import Wish, applied, choose, compare, require_databases
from fargate_ops.database.restore.table_stats import TableStatsReader
from fargate_ops.database.restore.target import Inventory
from fargate_ops.terraform.stack import Stack
from tests.unit.database.restore.test_table_stats import Ecs, Logs

KEY = "20261124-101500"
TIME = "2026-11-24T10:15:00Z"
ORIGINAL = {"host": "old", "instance_identifier": "app", "master_secret_arn": "arn:old"}
RESTORED = {"host": "new", "instance_identifier": "app-1", "master_secret_arn": "arn:new"}
KNOWN = {KEY: {"source": "", "time": TIME}}


def stack(**changes: Any) -> Stack:
    outputs = {
        "admin_family": "app-admin",
        "cluster_name": "app",
        "container_name": "api",
        "private_subnet_ids": ["subnet-1"],
        "admin_security_group_ids": ["sg-1"],
        "name_prefix": "app",
        "database": ORIGINAL,
        "database_instances": {"": ORIGINAL},
    }
    return Stack({**outputs, **changes}, "qa")


class Rds:
    """One instance with automated backups, and no snapshot."""

    def describe_db_instance_automated_backups(self, **_: Any) -> Any:
        window = {
            "EarliestTime": datetime(2026, 11, 20, tzinfo=UTC),
            "LatestTime": datetime.now(UTC) - timedelta(minutes=1),
        }
        return {"DBInstanceAutomatedBackups": [{"Status": "active", "RestoreWindow": window}]}

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> Iterator[Any]:
        yield {"DBSnapshots": []}


class Clients:
    def __init__(self) -> None:
        self.ecs = Ecs()
        self._clients = {"ecs": self.ecs, "logs": Logs(), "rds": Rds()}

    def client(self, service: str) -> Any:
        return self._clients[service]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "database_restores.yml"


def chosen(
    file: Path, wish: Wish, restores: dict[str, Any] | None = None, serving: str = "", *, preview: bool = False
) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    databases = {"": ORIGINAL, **({KEY: RESTORED} if restores else {})}
    inventory = Inventory.from_variables(restores or {}, serving)
    there = stack(database_instances=databases)
    return choose(Clients(), there, inventory, wish, file, said.append, preview=preview), said


def test_without_a_wish_what_there_is_is_listed_and_nothing_is_written(file: Path) -> None:
    result, said = chosen(file, Wish())
    assert result.pop("outcome").what == "listed the restore points"
    assert result == {"changed": False, "key": "", "restores": {}, "serving": "", "applied": ""}
    assert "2026-11-20" in said[0]
    assert not chosen(file, Wish(), KNOWN)[0]["changed"]
    assert not file.exists()


def test_a_second_is_written_into_the_inventory_once(file: Path) -> None:
    preview, said = chosen(file, Wish(time=TIME), preview=True)
    assert (preview["changed"], preview["key"]) == (True, KEY)
    assert said == ["  would write database_restores.yml of the inventory: commit it"]
    assert not file.exists()
    result, said = chosen(file, Wish(time=TIME))
    assert (result["changed"], result["key"], result["restores"]) == (True, KEY, KNOWN)
    assert said == ["  wrote database_restores.yml of the inventory: commit it"]
    again, said = chosen(file, Wish(time=TIME), KNOWN)
    assert (again["changed"], again["key"], said) == (False, KEY, [])


def test_another_database_serves_from_the_next_deploy_on(file: Path) -> None:
    result, _ = chosen(file, Wish(serve=KEY), KNOWN)
    assert (result["serving"], result["applied"], result["key"]) == (KEY, "", "")
    assert result["outcome"].what == f"the inventory says that {KEY} serves"
    assert result["outcome"].next == "commit database_restores.yml, then make deploy ENV=qa"
    result, _ = chosen(file, Wish(serve="original"), KNOWN, KEY)
    assert result["outcome"].what == "the inventory says that the original serves"


def test_a_database_is_forgotten_with_the_command_that_removes_it(file: Path) -> None:
    chosen(file, Wish(time=TIME))
    result, _ = chosen(file, Wish(forget=KEY), KNOWN)
    assert result["restores"] == {}
    assert f"ARGS='-e terraform_stack_allow=module.rds[0].aws_db_instance.restored[{KEY}]'" in result["outcome"].next
    assert not file.exists()


def test_an_inventory_whose_database_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(ProblemError, match=r"says that gone serves.*\n.*database_restores\.yml\n.*make deploy ENV=qa"):
        choose(Clients(), stack(), Inventory(serving="gone"), Wish(), file, print, preview=False)


def test_an_infrastructure_without_a_list_of_databases_is_refused() -> None:
    require_databases(stack())
    with pytest.raises(OperationsError, match=r"older version of this project\. Next: make deploy ENV=qa"):
        require_databases(stack(database_instances={}))


APPLICATION = Application(name="shop", port=8000, health_path="/", admin_command=["admin"])


def compared(directory: Path, serves: bool = False) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    there = stack(database_instances={"": ORIGINAL, KEY: RESTORED}, database=RESTORED if serves else ORIGINAL)
    inventory = Inventory.from_variables(KNOWN, "")
    result = compare(
        Clients(), there, APPLICATION, inventory, KEY, directory, said.append, wait_seconds=5, sleep=lambda _: None
    )
    return result, said


def test_a_comparison_says_what_serves_and_how_to_let_the_restored_one_serve(tmp_path: Path) -> None:
    result, said = compared(tmp_path / "restores")
    report = tmp_path / f"restores/{KEY}.md"
    assert result["report"] == str(report)
    assert said[0].startswith("app-1 has app as it was at 2026-11-24T10:15:00Z")
    command = f"make restore ENV=qa ARGS='-e restore_serving={KEY}'"
    assert f"app serves; app is kept as it is\n  report     {report}\n  To let it serve: {command}" in said[1]
    assert command in report.read_text()


def test_beside_a_restored_database_that_serves_the_way_back_is_named(tmp_path: Path) -> None:
    _, said = compared(tmp_path, serves=True)
    assert "app-1 serves" in said[1]
    assert "To go back: make restore ENV=qa ARGS='-e restore_serving=original'" in said[1]
    assert applied(stack(database=RESTORED, database_instances={"": ORIGINAL, KEY: RESTORED})) == KEY


def test_the_pace_of_a_survey_is_the_usual_one_unless_another_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paces: list[float] = []

    def record(*args: Any, poll_seconds: float, **options: Any) -> Any:
        paces.append(poll_seconds)
        return TableStatsReader(*args, poll_seconds=poll_seconds, **options)

    monkeypatch.setattr(flow, "TableStatsReader", record)
    compared(tmp_path)
    assert paces == [3.0]

"""The steps of an incident: sessions are terminated if that is requested and helps; a report is always written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.core.problem import OperationsError
from fargate_ops.database.incident import respond as module
from fargate_ops.database.incident.diagnosis import Limits
from fargate_ops.database.incident.evidence import Database, Ended, NoListing, Session
from fargate_ops.database.incident.respond import respond
from tests.unit.database.incident.test_collect import DATABASE, SCOPE, Aws

LIMITS = Limits(idle_in_transaction_seconds=30, idle_seconds=600, slow_seconds=5)
LEAKED = [
    Session(pid=pid, user="settlement_app", state="idle in transaction", age_seconds=900, state_seconds=900)
    for pid in range(1, 96)
]


class Inside:
    """The one-off task, with the sessions that it lists and terminates."""

    database: Database | None = replace(DATABASE, sessions=LEAKED)
    ended: Ended | Exception = Ended(before=95, after=94, sessions=LEAKED[:1])

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def listing(self) -> Database:
        if self.database is None:
            raise NoListing("the server takes no connection")
        return self.database

    def end(self, *_: float) -> Ended:
        if isinstance(self.ended, Exception):
            raise self.ended
        return self.ended


def responded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: type[Inside] = Inside, **changes: Any
) -> tuple[dict[str, Any], str]:
    monkeypatch.setattr(module, "SessionsTask", inside)
    said: list[str] = []
    options: dict[str, Any] = {"end_idle": True, "preview": False, "sleep": lambda _: None, **changes}
    scope = options.pop("scope", SCOPE)
    result = respond(Aws(), scope, LIMITS, tmp_path / "incidents", said.append, **options)
    return result, "\n".join(said)


def test_leaked_sessions_are_ended_and_the_report_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, said = responded(tmp_path, monkeypatch)
    assert (result["changed"], result["ended"]) == (True, [1])
    assert (result["connections_before"], result["connections_after"]) == (95, 94)
    report = Path(result["report"])
    assert f"  report     {report}" in said
    assert report.read_text()
    assert json.loads(report.with_suffix(".json").read_text())["ended"]["after"] == 94


def test_nothing_is_ended_unless_that_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, said = responded(tmp_path, monkeypatch, end_idle=False)
    assert (result["changed"], result["ended"], result["connections_after"]) == (False, [], 95)
    assert "  changed nothing; " in said
    assert Path(result["report"]).is_file()


@pytest.mark.parametrize(
    ("wanted", "line"), [(True, "  ended nothing: it would not help"), (False, "  changed nothing")]
)
def test_nothing_is_ended_where_it_does_not_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool, line: str
) -> None:
    class Quiet(Inside):
        database = DATABASE

    result, said = responded(tmp_path, monkeypatch, Quiet, end_idle=wanted)
    assert (result["changed"], result["connections_before"]) == (False, 0)
    assert line in said


def test_a_preview_starts_no_task_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, said = responded(tmp_path, monkeypatch, preview=True)
    assert result["missing"] == ["the database's sessions: no task is started in check mode"]
    assert (result["changed"], result["connections_before"]) == (False, None)
    assert "ended nothing: what the sessions do is not known" in said


WITHOUT_ADMIN = replace(SCOPE, application=replace(SCOPE.application, admin_command=[]))


def test_without_an_admin_command_the_sessions_are_missing_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, said = responded(tmp_path, monkeypatch, end_idle=False, scope=WITHOUT_ADMIN)
    missing = "the database's sessions: the application has no admin command (app_admin_command)"
    assert result["missing"] == [missing]
    assert f"! missing  {missing}" in said
    assert result["case"] == "not known"


def test_without_an_admin_command_ending_sessions_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OperationsError, match=r"so no session can be ended\. Next: give the image one"):
        responded(tmp_path, monkeypatch, scope=WITHOUT_ADMIN)
    assert not (tmp_path / "incidents").exists()


def test_an_end_that_fails_names_the_command_that_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Inside):
        ended = NoListing("the server takes no connection")

    expected = r"^ending sessions did not come to its end: the server .*\. Next: make incident-db ENV=staging$"
    with pytest.raises(OperationsError, match=expected):
        responded(tmp_path, monkeypatch, Failing)

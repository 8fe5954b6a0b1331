"""What the page's document says of readings, of readings that are missing, and of readings that failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from fargate_ops.aws.alarms import Alarm
from fargate_ops.console.document import Page, Seen, difference
from fargate_ops.console.readings import NotDeployedError
from fargate_ops.core.problem import ProblemError
from fargate_ops.release.journal import incarnation
from fargate_ops.state.ledger import Event, History, Kind, Outcome, fold, release_id
from fargate_ops.state.lock import Found, Lock, Machine
from fargate_ops.terraform.stack import Stack
from tests.unit.console.conftest import CREATED, SERVICE, deployment, revision, task

NOW = datetime(2026, 11, 30, 21, 0, tzinfo=UTC)
STACK = Stack({"public_url": "https://app.example", "database": {"max_connections": 210}}, "test")
NAMES = ("service", "targets", "tasks", "service_deployments", "lock", "alarms", "ledger", "traffic")
HELD = Lock(
    holder="there 7",
    machine="there",
    pid=7,
    owner="ann@laptop",
    purpose="deploy",
    started=NOW - timedelta(minutes=2),
    heartbeat=NOW - timedelta(seconds=12),
)


def document(stack: Stack = STACK, failed: dict[str, Exception] | None = None, **values: Any) -> dict[str, Any]:
    """Return the sections of these readings, all of NOW; the others were not read yet."""
    seen = {name: Seen() for name in NAMES}
    seen |= {name: Seen().good(value, NOW) for name, value in values.items()}
    for name, error in (failed or {}).items():
        seen[name] = seen[name].bad(error, NOW + timedelta(minutes=1)).bad(error, NOW + timedelta(minutes=2))
    page = Page(environment="test", stack=stack, machine=Machine("here"))
    return page.document(seen, dict.fromkeys(NAMES, 10.0))


def sections(**readings: Any) -> dict[str, Any]:
    found: dict[str, Any] = document(**readings)["sections"]
    return found


def service(*deployments: dict[str, Any]) -> dict[str, Any]:
    return SERVICE | {"deployments": list(deployments)}


def targets(**states: str) -> dict[str, Any]:
    found = [
        {"Target": {"Id": f"10.0.0.{name.removeprefix('n')}"}, "TargetHealth": {"State": state}}
        for name, state in states.items()
    ]
    return {"TargetHealthDescriptions": found}


def ledger(*releases: tuple[int, Outcome], **changes: Any) -> History:
    events = []
    for number, outcome in releases:
        at = CREATED + timedelta(minutes=number)
        values: dict[str, Any] = {
            "release": release_id(f"v{number}", at),
            "outcome": outcome,
            "service": incarnation(SERVICE),
            "version": f"v{number}",
            "digest": f"sha256:{number}",
            "revision": revision(number),
            "by": "ann@laptop",
            "at": at,
            "why": "Deploy",
            "duration_seconds": 11.0,
        }
        events.append(Event(**values | changes))
    return History(releases=fold(events), unreadable=[])


def found(lock: Lock | None, heard: int = 12) -> Found:
    return Found(lock=lock, etag="e", written=NOW - timedelta(seconds=heard), now=NOW, broken="it is not JSON")


def test_before_the_first_reading_nothing_is_known() -> None:
    empty = {"value": None, "at": None, "error": None, "interval_seconds": 10.0}
    assert list(sections().values()) == [empty] * 6


def test_what_serves() -> None:
    of_two = ledger((1, Outcome.SUCCEEDED), (2, Outcome.SUCCEEDED))
    everything = {"targets": targets(n12="healthy", n13="healthy"), "tasks": [task("one", 2)], "ledger": of_two}
    serving = sections(service=service(deployment(2)), **everything)["serving"]
    assert serving["at"] == "2026-11-30T21:00:00+00:00"
    assert serving["value"] == {
        "version": "v2",
        "name": "v2",
        "digest": "sha256:2",
        "revision": "app-test:2",
        "kind": "release",
        "outcome": "succeeded",
        "since": "2026-11-30T20:02:00+00:00",
        "by": "ann@laptop",
        "why": "Deploy",
        "desired": 2,
        "running": 2,
        "healthy": 2,
        "rollback_to": "v1 (app-test:1)",
        "max_connections": 210,
        "warnings": [],
    }


def test_what_serves_without_the_ledger_and_the_targets() -> None:
    serving = sections(service=service(deployment(2)))["serving"]["value"]
    assert (serving["revision"], serving["version"], serving["since"], serving["healthy"]) == (
        "app-test:2",
        None,
        None,
        None,
    )
    assert serving["warnings"] == []


def test_warnings_are_those_of_status() -> None:
    readings = {
        "targets": targets(n12="unhealthy"),
        "tasks": [task("one", 2)],
        "ledger": ledger((1, Outcome.SUCCEEDED)),
    }
    warnings = sections(service=service(deployment(2)), **readings)["serving"]["value"]["warnings"]
    assert warnings == [
        "no target is healthy: nothing serves",
        "the ledger does not know app-test:2: it was not put there by a release",
    ]


def test_a_rollout() -> None:
    new = deployment(2, state="IN_PROGRESS", pending=1, running=1)
    old = deployment(1, status="ACTIVE")
    listed = [
        {"serviceDeploymentArn": f"a/{name}", "status": status, "createdAt": CREATED + timedelta(minutes=number)}
        for name, status, number in (("first", "SUCCESSFUL", 1), ("second", "IN_PROGRESS", 2))
    ]
    rollout = sections(
        service=service(old, new),
        targets=targets(n11="draining", n12="healthy"),
        tasks=[task("new", 2), task("old", 1), task("starting", 3, "PENDING")],
        service_deployments=listed,
        ledger=ledger((1, Outcome.SUCCEEDED), (2, Outcome.IN_PROGRESS)),
    )["rollout"]["value"]
    assert rollout["in_progress"] is True
    assert rollout["state"] == "IN_PROGRESS"
    assert rollout["progress"] == "new 1 pending, 1 running · old 0 pending, 2 running · targets 1 healthy, 1 draining"
    shown = ("which", "revision", "name", "pending", "running", "created")
    assert [tuple(item[name] for name in shown) for item in rollout["deployments"]] == [
        ("new", "app-test:2", "v2", 1, 1, "2026-11-30T20:02:00+00:00"),
        ("old", "app-test:1", "v1", 0, 2, "2026-11-30T20:01:00+00:00"),
    ]
    assert rollout["targets"] == {"draining": 1, "healthy": 1}
    assert [(item["which"], item["id"], item["status"], item["target"]) for item in rollout["tasks"]] == [
        ("old", "old", "RUNNING", "draining"),
        ("old", "starting", "PENDING", "not registered"),
        ("new", "new", "RUNNING", "healthy"),
    ]
    assert rollout["service_deployment"] == {
        "id": "second",
        "status": "IN_PROGRESS",
        "reason": "",
        "created": "2026-11-30T20:02:00+00:00",
        "finished": None,
    }


def test_no_rollout_and_nothing_else_read_yet() -> None:
    rollout = sections(service=service(deployment(1)), tasks=[task("one", 1)])["rollout"]["value"]
    assert rollout["in_progress"] is False
    assert (rollout["targets"], rollout["service_deployment"]) == (None, None)
    assert [item["target"] for item in rollout["tasks"]] == ["unknown"]


def test_old_tasks_that_are_left_are_a_rollout() -> None:
    left = service(deployment(2), deployment(1, status="ACTIVE", running=1))
    assert sections(service=left)["rollout"]["value"]["in_progress"] is True


def test_alarms_the_worst_first_with_their_runbook() -> None:
    described = "It is bad.\nRunbook: docs/runbooks/database_connections.md\nNext: make incident-db ENV=test"
    alarms = [
        Alarm(name="app-a", state="OK", since=NOW),
        Alarm(name="app-b", state="INSUFFICIENT_DATA", since=NOW),
        Alarm(name="app-c", state="ALARM", since=NOW, description=described, threshold=168.0),
    ]
    first, *others = sections(alarms=alarms)["alarms"]["value"]["alarms"]
    assert first == {
        "name": "app-c",
        "state": "ALARM",
        "since": "2026-11-30T21:00:00+00:00",
        "meaning": "It is bad.",
        "runbook": "docs/runbooks/database_connections.md",
        "next": "make incident-db ENV=test",
        "threshold": 168.0,
    }
    assert [(alarm["name"], alarm["runbook"], alarm["next"]) for alarm in others] == [
        ("app-b", "", ""),
        ("app-a", "", ""),
    ]


def test_the_ledger_newest_first() -> None:
    history = ledger((1, Outcome.SUCCEEDED), (2, Outcome.FAILED), kind=Kind.RELEASE)
    shown = sections(service=service(deployment(1)), ledger=history)["ledger"]["value"]
    assert (shown["more"], shown["unreadable"]) == (False, [])
    assert [(item["version"], item["outcome"], item["serves"]) for item in shown["releases"]] == [
        ("v2", "failed", False),
        ("v1", "succeeded", True),
    ]
    assert shown["releases"][1]["duration_seconds"] == 11.0
    assert shown["releases"][1]["revision"] == "app-test:1"


@pytest.mark.parametrize(
    ("lock", "state", "next_step"),
    [
        (found(HELD), "held", ""),
        (found(HELD, heard=600), "dead", "make unlock ENV=test"),
        (found(None), "held", "make unlock ENV=test"),
    ],
)
def test_a_lock_that_is_held(lock: Found, state: str, next_step: str) -> None:
    shown = sections(lock=lock)["lock"]["value"]
    assert (shown["state"], shown["next"], shown["text"]) == (state, next_step, str(lock))
    assert shown["owner"] == (lock.lock and "ann@laptop")
    assert shown["heartbeat_age_seconds"] in (12, 600)
    assert document(lock=lock)["busy"] is (state == "held")


@pytest.mark.parametrize("lock", [None, found(Lock(**vars(HELD) | {"released": True}))])
def test_a_free_lock(lock: Found | None) -> None:
    assert {name: value for name, value in sections(lock=lock)["lock"]["value"].items() if value} == {"state": "free"}
    assert document(lock=lock)["busy"] is False


@pytest.mark.parametrize(
    ("readings", "busy"),
    [
        ({"service": service(deployment(1))}, False),
        ({"service": service(deployment(1, state="IN_PROGRESS"))}, True),
        ({"targets": targets(n11="healthy")}, False),
        ({"targets": targets(n11="healthy", n12="draining")}, True),
    ],
)
def test_busy_while_something_changes(readings: dict[str, Any], busy: bool) -> None:
    assert document(**readings)["busy"] is busy


def test_a_failure_stands_in_its_sections_and_the_last_value_stays() -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "DescribeTasks")
    found = sections(service=service(deployment(1)), tasks=[task("one", 1)], failed={"tasks": denied})
    assert [name for name, section in found.items() if section["error"]] == ["rollout"]
    assert len(found["rollout"]["value"]["tasks"]) == 1
    assert found["rollout"]["error"] == {
        "message": "AWS refused DescribeTasks: not for you (AccessDenied)",
        "next": "allow it to the role that aws sts get-caller-identity shows, or use another",
        "at": "2026-11-30T21:02:00+00:00",
        "since": "2026-11-30T21:01:00+00:00",
    }


def test_an_error_with_a_place_is_said_without_it() -> None:
    error = sections(failed={"alarms": ProblemError("There is no output x.", "outputs.tf", "make infra")})["alarms"][
        "error"
    ]
    assert (error["message"], error["next"]) == ("There is no output x.", "make infra")


def test_a_section_that_cannot_be_made_leaves_the_others() -> None:
    older = Stack({"database": {"instance_identifier": "app-test"}}, "test")
    found = document(older, service=service(deployment(1)), lock=None)["sections"]
    assert [name for name, section in found.items() if section["error"]] == ["serving"]
    assert found["serving"]["value"] is None
    assert "max_connections" in found["serving"]["error"]["message"]
    assert found["lock"]["value"]["state"] == "free"


def test_an_endpoint_that_does_not_answer() -> None:
    error = EndpointConnectionError(endpoint_url="http://127.0.0.1:4566/")
    shown = sections(failed={"lock": error})["lock"]
    assert (shown["value"], shown["error"]["next"]) == (None, "")
    assert "http://127.0.0.1:4566/" in shown["error"]["message"]


def test_nothing_deployed() -> None:
    nothing = NotDeployedError("test")
    found = document(Stack({}, "test"), failed={"service": nothing}, lock=None, ledger=ledger((1, Outcome.FAILED)))
    error = found["sections"]["serving"]["error"]
    assert (error["message"], error["next"]) == ("nothing is deployed here", "make deploy ENV=test")
    assert (found["url"], found["region"]) == ("", "")
    assert [release["serves"] for release in found["sections"]["ledger"]["value"]["releases"]] == [False]
    assert found["sections"]["ledger"]["error"] is None
    assert found["sections"]["lock"]["value"]["state"] == "free"


def test_a_difference_has_the_keys_that_changed() -> None:
    before = {"busy": False, "url": "u", "sections": {"lock": {"value": 1, "at": 1}, "alarms": {"value": 2, "at": 1}}}
    after = {"busy": True, "url": "u", "sections": {"lock": {"value": 1, "at": 2}, "alarms": {"value": 2, "at": 1}}}
    assert difference(before, after) == {"busy": True, "sections": {"lock": {"at": 2}}}
    assert difference(after, after) == {"sections": {}}

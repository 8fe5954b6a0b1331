"""Taking, freeing and breaking the deployment lock: effects, messages and remains."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import EndError, OperationsError
from fargate_ops.plugin.environment import user_name
from fargate_ops.state import deployment_lock
from fargate_ops.state.deployment_lock import DeploymentLock, Request, start_heartbeat
from fargate_ops.state.heartbeat import Assignment
from fargate_ops.state.lock import Lock, LockError, LockStore, Machine, holder_of

BUCKET = "state-bucket"
KEY = "local/environment.tfstate"
HERE = Machine.this()


class Flow:
    """One flow, with the lines that it prints and the heartbeats that it starts."""

    def __init__(self, s3: Any, project: Path) -> None:
        self.store = LockStore(s3, BUCKET, "local")
        self.s3, self.project = s3, project
        self.said: list[str] = []
        self.warned: list[str] = []
        self.beats: list[Assignment] = []

    def lock(self, **changes: Any) -> DeploymentLock:
        request = Request(
            environment="local",
            purpose="Deploy",
            preempts=False,
            preemptible=True,
            releases=True,
            heartbeat_seconds=10,
            state_keys=[KEY],
            project_dir=str(self.project),
            orphan_wait_seconds=0,
            break_command="make unlock ENV=local",
        )
        return DeploymentLock(
            self.store,
            replace(request, **changes),
            HERE,
            os.getpid(),
            say=self.said.append,
            warn=self.warned.append,
            start=self.beats.append,
            sleep=lambda _: None,
        )

    def held_by(self, **changes: Any) -> Lock:
        """Write the lock of ann, whose flow runs on another machine."""
        now = datetime.now(UTC).replace(microsecond=0)
        values: dict[str, Any] = {
            "holder": "elsewhere 1 1",
            "machine": "elsewhere",
            "pid": 1,
            "owner": "ann@laptop",
            "purpose": "Release",
            "started": now,
            "heartbeat": now,
        }
        lock = Lock(**{**values, **changes})
        current = self.store.read()
        assert self.store.swap(lock, current.etag if current else None)
        return lock

    def dead(self) -> Lock:
        """Write the lock of a flow of this machine whose process has ended."""
        return self.held_by(holder=f"{HERE.identity} 999999999 1", machine=HERE.identity, pid=999999999)

    def state_lock(self, who: str) -> None:
        body = {"ID": "1", "Operation": "OperationTypeApply", "Who": who, "Created": "2026-01-31T09:01:00Z"}
        self.s3.put_object(Bucket=BUCKET, Key=f"{KEY}.tflock", Body=json.dumps(body))

    @property
    def state_locks(self) -> int:
        return len(self.store.state_locks([KEY]))


@pytest.fixture
def flow(s3: Any, tmp_path: Path) -> Flow:
    return Flow(s3, tmp_path)


def test_a_free_lock_is_taken_renewed_and_given_back(flow: Flow) -> None:
    assert flow.lock().take() == {"state": "held", "msg": "locked for Deploy"}
    found = flow.store.read()
    assert found
    assert found.lock
    assert (found.lock.purpose, found.lock.releases, found.lock.directory) == ("Deploy", True, str(flow.project))
    (beat,) = flow.beats
    assert (beat.environment, beat.interval, beat.pid, beat.state_keys) == ("local", 10, os.getpid(), [KEY])
    assert flow.lock().take()["msg"] == "this run holds the lock already"
    assert len(flow.beats) == 1
    assert flow.lock().free()["msg"].startswith("freed the lock of ")
    assert flow.lock().free() == {"state": "free", "msg": "there was no lock to free"}


def test_another_flow_is_named_with_the_command_that_breaks_its_lock(flow: Flow) -> None:
    flow.held_by()
    with pytest.raises(
        EndError, match=r"^local is locked by ann@laptop, for Release.*dead: make unlock ENV=local$"
    ) as refusal:
        flow.lock().take()
    end = refusal.value.outcome("local")
    assert (end.kind, end.where) == (Kind.LOCKED, f"s3://{BUCKET}/locks/local.json")
    assert re.match(r"held by ann@laptop, for Release, since .* UTC", end.cause)
    assert end.next == "wait for it to end; if you are sure that it is dead, make unlock ENV=local"
    assert not flow.beats
    assert flow.lock().free()["msg"] == "there was no lock to free"


def test_a_flow_that_pre_empts_takes_a_living_flows_lock_and_says_so(flow: Flow) -> None:
    flow.held_by()
    taken = flow.lock(preempts=True).take()
    assert taken["preempted"].startswith("ann@laptop, for Release")
    assert flow.warned == [taken["msg"]]
    assert taken["msg"].endswith("it stops before it changes anything more")


def test_a_dead_flows_lock_is_taken_over_with_terraforms_that_it_left_here(flow: Flow) -> None:
    flow.dead()
    flow.state_lock(f"{user_name()}@{HERE.name}")
    taken = flow.lock().take()
    assert taken["taken_over"].startswith("ann@laptop")
    assert flow.warned[0].startswith("Took over the lock of a flow that died: ann@laptop")
    assert flow.warned[1].startswith("Removed Terraform's lock of ")
    assert flow.state_locks == 0


def test_a_dead_lock_stays_beside_a_terraform_that_may_live(flow: Flow) -> None:
    flow.dead()
    flow.state_lock("bob@pc")
    assert "a run would stop here: the flow that held local" in flow.lock().preview_taking()["msg"]
    with pytest.raises(EndError, match=r"is that of bob@pc.*\n.*\nNext: if it is surely dead, make unlock") as refused:
        flow.lock().take()
    assert f"s3://{BUCKET}/{KEY}.tflock" in str(refused.value)
    end = refused.value.outcome("local")
    assert end.kind is Kind.LOCKED
    assert end.cause.startswith("Terraform's lock is that of bob@pc (apply")
    assert flow.state_locks == 1
    assert flow.lock(preempts=True).take()["taken_over"]
    assert flow.state_locks == 1


def test_terraforms_lock_without_a_flow_is_told_of(flow: Flow) -> None:
    flow.state_lock("bob@pc")
    assert flow.lock().take()["msg"] == "locked for Deploy"
    (line,) = flow.warned
    assert "bob@pc" in line
    assert line.endswith("If it is surely dead: make unlock ENV=local")


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Keep a killed playbook's Terraform running for a number of polls."""

    def runs(looks: int) -> None:
        left = [[4242]] * looks
        monkeypatch.setattr(deployment_lock, "orphans", lambda _: left.pop() if left else [])

    return runs


def test_terraform_that_outlived_its_playbook_is_waited_for(flow: Flow, terraform: Callable[[int], None]) -> None:
    flow.dead()
    terraform(3)
    assert flow.lock(orphan_wait_seconds=60).take()["taken_over"]
    assert flow.said == ["Waiting for Terraform of the interrupted flow to end (process 4242)"]


def test_terraform_that_does_not_end_is_named(flow: Flow, terraform: Callable[[int], None]) -> None:
    flow.dead()
    terraform(1000)
    with pytest.raises(OperationsError, match=r"still runs after 0 s\. .*: kill 4242$"):
        flow.lock().take()


def test_a_lock_is_broken_whoever_holds_it_with_terraforms(flow: Flow) -> None:
    flow.held_by()
    flow.state_lock("bob@pc")
    preview = flow.lock().preview_breaking()
    assert preview["state"] == "held"
    assert preview["msg"].startswith("would break the lock of ann@laptop")
    assert "; would remove Terraform's lock of bob@pc" in preview["msg"]
    assert flow.state_locks == 1
    broken = flow.lock().break_()
    assert broken["msg"].startswith("broke the lock of ann@laptop")
    assert flow.warned[0] == broken["msg"]
    assert flow.state_locks == 0
    assert flow.lock().preview_breaking() == {"state": "free", "msg": "there is no lock to free"}
    assert flow.lock().break_() == {"state": "free", "msg": "there was no lock to free"}


def test_a_preview_says_what_taking_would_do_and_takes_nothing(flow: Flow) -> None:
    assert flow.lock().preview_taking() == {
        "state": "free",
        "msg": "check mode takes no lock; locks/local.json is free",
    }
    flow.held_by()
    held = flow.lock().preview_taking()
    assert held["state"] == "held"
    assert held["msg"].startswith("check mode takes no lock; a run would stop here: held by ann@laptop")
    assert "a run would pre-empt ann@laptop" in flow.lock(preempts=True).preview_taking()["msg"]
    flow.dead()
    assert "a run would take it over from ann@laptop" in flow.lock().preview_taking()["msg"]
    assert not flow.beats
    assert not flow.warned


def test_a_preview_that_cannot_look_says_why(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    monkeypatch.setattr(flow.s3, "get_object", refuse)
    for preview in (flow.lock().preview_taking(), flow.lock().preview_breaking()):
        assert preview["state"] == "unknown"
        assert preview["msg"].startswith("would take the lock; not known yet: cannot read s3://state-bucket/locks/")
    with pytest.raises(LockError):
        flow.lock().take()


def test_the_heartbeat_is_a_process_of_a_session_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **options: started.append((args, options)))
    assignment = Assignment(bucket=BUCKET, environment="local", holder=holder_of(HERE, 1), pid=1, interval=10)
    start_heartbeat(assignment)
    (((command,), options),) = started
    assert command[:3] == [sys.executable, "-m", "fargate_ops.state.heartbeat"]
    assert Assignment.from_argument(command[3]) == replace(assignment, state_keys=[])
    assert options["start_new_session"]

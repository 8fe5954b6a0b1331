"""Releases and rollbacks with delayed reads and throttled calls ("weather"), at many seeds and without real waits.

The local cloud's weather is put between the phases and the small ECS of these tests, whose rollouts advance by the
test's own clock. `tests/e2e/test_weather.py` does the same with real containers, at few seeds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.release.context import ReleaseError
from fargate_ops.release.operation import Operation
from fargate_ops.release.verify import Subject, Verdict, Verification
from fargate_ops.state.ledger import Ledger, Outcome, Release
from fargate_ops.state.lock import Lock
from local_cloud.core.weather import Answer, Weather
from tests.unit.release import conftest
from tests.unit.release.conftest import Paginator, client_error

if TYPE_CHECKING:
    from tests.unit.release.conftest import World

SEEDS = range(4)
#: Seconds of a rollout, and of a command from its start to its first read.
ROLLOUT_SECONDS, START_SECONDS = 7.0, 2.0
CALL_SECONDS = 0.05
TIMES = {"createdAt", "startedAt", "stoppedAt"}


class Killed(BaseException):
    """The process was killed."""


class Storm:
    """A world with weather. A ``bad`` version never becomes healthy; ``dies_at`` is when a process is killed."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.now = world, datetime.now(UTC).timestamp()
        self.weather = Weather(seed, lambda: self.now, self._created)
        self.since: dict[str, float] = {}
        self.dies_at: float | None = None
        self.clients = {name: Client(self, name, world.client(name)) for name in ("ecs", "elbv2")}

    def client(self, service: str) -> Any:
        return self.clients.get(service) or self.world.client(service)

    def of(self, operation: Operation) -> Any:
        """Return the operation with the clients of this weather."""
        operation.c = replace(operation.c, clients=self, sleep=self.sleep, verify=self.verify)
        return operation

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.4)
        if self.dies_at is not None and self.now >= self.dies_at:
            raise Killed

    def verify(self, subject: Subject) -> Verification:
        right = subject.revision == self.world.ecs.primary["taskDefinition"]
        return Verification(verdict=Verdict.VERIFIED if right else Verdict.WRONG, reason="seen")

    def pass_time(self) -> None:
        """Advance the service to the present time."""
        ecs = self.world.ecs
        primary = ecs.primary
        started = self.since.setdefault(primary["id"], self.now)
        if primary["rolloutState"] != "IN_PROGRESS" or self.now - started < ROLLOUT_SECONDS:
            return
        if self._is_bad(primary["taskDefinition"]):
            for _ in range(3):
                ecs.fail_task()
            ecs.roll_back()
            self.since[ecs.primary["id"]] = self.now
            return
        for task in ecs.tasks.values():
            task["lastStatus"] = "STOPPED"
            task.setdefault("stoppedReason", "Scaling activity initiated by (deployment)")
        for number in range(ecs.service["desiredCount"]):
            ecs.start_task(f"10.0.{len(ecs.tasks)}.{number}")["createdAt"] = datetime.fromtimestamp(started, UTC)
        ecs.complete()

    def _is_bad(self, revision: str) -> bool:
        return "sha256:bad" in json.dumps(self.world.ecs.definitions[revision], default=str)

    def _created(self, arn: str) -> float | None:
        task = self.world.ecs.tasks.get(arn, {})
        return task["createdAt"].timestamp() if "createdAt" in task else None


class Client:
    """A client of one service that retries throttled calls as botocore does."""

    def __init__(self, storm: Storm, service: str, real: Any) -> None:
        self._storm, self._real = storm, real
        self._namespace = {"elbv2": "elasticloadbalancing"}.get(service, service)

    def __getattr__(self, operation: str) -> Any:
        return lambda **request: self._call(operation, getattr(self._real, operation), request)

    def get_paginator(self, operation: str) -> Paginator:
        pages = self._real.get_paginator(operation).paginate

        def merged(**request: Any) -> dict[str, Any]:
            found: dict[str, Any] = {"taskArns": [], "taskDefinitionArns": []}
            for page in pages(**request):
                for name, items in page.items():
                    found[name] += items
            return found

        def paginate(**request: Any) -> Iterator[dict[str, Any]]:
            yield self._call(operation, merged, request)

        return Paginator(paginate)

    def _call(self, operation: str, method: Callable[..., Any], request: dict[str, Any]) -> Any:
        storm = self._storm
        action = f"{self._namespace}:{''.join(word.title() for word in operation.split('_'))}"

        async def ask() -> Answer:
            storm.pass_time()
            try:
                return 200, {}, json.dumps(method(**request), default=datetime.timestamp).encode()
            except ClientError as error:
                return 400, {}, json.dumps({"__type": error.response["Error"]["Code"]}).encode()

        for _ in range(5):
            storm.now += CALL_SECONDS
            status, _, body = asyncio.run(storm.weather.answer(action, repr((action, request)), ask, protocol="json"))
            answer = json.loads(body, object_hook=with_times)
            if status == 200:
                return answer
            if answer["__type"] != "ThrottlingException":
                break
        raise client_error(operation, "refused", answer["__type"])


def with_times(document: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromtimestamp(value, UTC) if name in TIMES and isinstance(value, float) else value
        for name, value in document.items()
    }


def release(storm: Storm, version: str) -> bool:
    """Run a whole release, phase by phase as the role does. Return whether it succeeded."""
    storm.now += START_SECONDS
    releaser = storm.of(storm.world.releaser(version))
    releaser.settle()
    plan, _ = releaser.register(releaser.plan())
    try:
        if plan.needed:
            releaser.begin(plan)
        releaser.prepare(plan)
        releaser.update(plan)
        releaser.succeed(plan)
    except (ReleaseError, ClientError, BotoCoreError) as error:
        releaser.fail(plan, str(error))
        return False
    return True


def rollback(storm: Storm, stopped: str = "") -> None:
    """Run a whole rollback; ``stopped`` is the release that it stopped."""
    storm.now += START_SECONDS
    operation = storm.of(storm.world.rollback(holder="me"))
    now = datetime.now(UTC)
    mine = Lock(
        holder="me",
        machine="m",
        pid=1,
        owner="ann",
        purpose="Rollback",
        started=now,
        heartbeat=now,
        stopped_release=stopped,
    )
    found = storm.world.lock.read()
    storm.world.lock.swap(mine, found.etag if found else None)
    plan = operation.plan()
    operation.update(plan)
    operation.succeed(plan)


def killed(storm: Storm, version: str, after: float) -> None:
    """Run a release whose process is killed ``after`` seconds after it updated the service."""
    updates, move = len(storm.world.ecs.updates), storm.world.ecs.update_service

    def and_die(**request: Any) -> Any:
        storm.dies_at = storm.now + after
        return move(**request)

    storm.world.ecs.update_service = and_die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        release(storm, version)
    storm.world.ecs.update_service, storm.dies_at = move, None  # type: ignore[method-assign]
    assert len(storm.world.ecs.updates) == updates + 1


def ledger(storm: Storm) -> list[Release]:
    return Ledger(storm.world.s3, conftest.BUCKET, "test").releases()


def outcomes(storm: Storm) -> list[tuple[str, Outcome]]:
    return [(item.version, item.outcome) for item in ledger(storm)]


def serving(storm: Storm) -> str:
    """Return the version that runs alone after its rollout."""
    storm.now += ROLLOUT_SECONDS
    storm.pass_time()
    primary = storm.world.ecs.primary
    assert primary["rolloutState"] == "COMPLETED"
    (container,) = storm.world.ecs.definitions[primary["taskDefinition"]]["containerDefinitions"]
    return str(container["image"]).rpartition(":")[2]


@pytest.fixture(params=SEEDS)
def storm(request: pytest.FixtureRequest, world: World) -> Storm:
    """Return a world with two releases; the second one serves."""
    found = Storm(world, request.param)
    assert release(found, "good1")
    assert release(found, "good2")
    return found


def test_no_good_release_is_undone_and_no_bad_one_is_kept(storm: Storm) -> None:
    assert serving(storm) == "good2"
    assert not release(storm, "bad1")
    assert serving(storm) == "good2"
    rollback(storm)
    assert serving(storm) == "good1"
    assert release(storm, "good3")
    assert serving(storm) == "good3"
    updates = len(storm.world.ecs.updates)
    assert release(storm, "good3")
    assert len(storm.world.ecs.updates) == updates, "nothing to release"
    assert outcomes(storm) == [
        ("good1", Outcome.SUCCEEDED),
        ("good2", Outcome.ROLLED_BACK),
        ("bad1", Outcome.FAILED),
        ("good1", Outcome.SUCCEEDED),
        ("good3", Outcome.SUCCEEDED),
    ]


@pytest.mark.parametrize("after", [0.0, 3.0])
def test_a_release_that_died_is_taken_up(storm: Storm, after: float) -> None:
    killed(storm, "good3", after)
    assert release(storm, "good3")
    assert serving(storm) == "good3"
    assert outcomes(storm)[-1] == ("good3", Outcome.SUCCEEDED)


@pytest.mark.parametrize("version", ["good3", "bad1"])
@pytest.mark.parametrize("stopped", ["", "bob, for Release"])
def test_a_release_that_died_or_was_stopped_is_undone_and_nothing_before_it(
    storm: Storm, version: str, stopped: str
) -> None:
    killed(storm, version, after=0.0)
    rollback(storm, stopped)
    assert serving(storm) == "good2"
    assert outcomes(storm)[-1] == ("good2", Outcome.SUCCEEDED)
    assert outcomes(storm)[2][1] in (Outcome.ROLLED_BACK, Outcome.STOPPED)

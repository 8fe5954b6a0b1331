"""What status shows of a service in its different states."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.release.journal import incarnation
from fargate_ops.release.status import Status, gather, text, text_of_bucket
from fargate_ops.state.ledger import Event, Kind, Ledger, Outcome, release_id
from fargate_ops.state.lock import Lock, LockStore, Machine
from fargate_ops.terraform.stack import Stack

BUCKET = "state-bucket"
S3Clock = Callable[[datetime, datetime], None]
NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
STACK = Stack(
    {
        "name_prefix": "app",
        "cluster_name": "c",
        "service_name": "app",
        "target_group_arn": "tg",
        "public_url": "http://127.0.0.1:8080",
        "database": {"max_connections": 210},
        "scalable_target": {
            "resource_id": "service/c/app",
            "service_namespace": "ecs",
            "scalable_dimension": "ecs:service:DesiredCount",
            "min_capacity": 2,
            "max_capacity": 4,
            "timezone": "Asia/Seoul",
            "scheduled_actions": [
                {"name": "up", "schedule": "cron(0 0 28 * ? *)", "min_capacity": 3, "max_capacity": 6},
                {"name": "down", "schedule": "cron(30 9 2 * ? *)", "min_capacity": 2, "max_capacity": 4},
            ],
        },
    },
    "test",
)


#: The same with what a release needs that is not rolling.
WITH_RULE = Stack({**STACK.values, "production_listener_rule_arn": "rule"}, "test")


def deployment(number: int, state: str = "COMPLETED") -> dict[str, Any]:
    return {
        "id": f"ecs-svc/{number}",
        "status": "PRIMARY",
        "taskDefinition": f"arn:task-definition/app:{number}",
        "rolloutState": state,
        "rolloutStateReason": "circuit breaker" if state == "FAILED" else "",
    }


@dataclass
class World:
    """One service with two tasks, a load balancer and S3."""

    s3: Any
    primary: dict[str, Any] = field(default_factory=lambda: deployment(2))
    desired: int = 2
    health: str = "healthy"
    alarms: dict[str, str] = field(default_factory=dict)
    cloudwatch_refuses: bool = False
    limits: tuple[int, int] | None = (3, 6)
    autoscaling_refuses: bool = False
    suspended: bool = False
    away: str = ""
    arc_refuses: bool = False
    stack: Stack = STACK
    service_deployment: dict[str, Any] = field(default_factory=dict)
    stage_refuses: bool = False
    source: Path = Path("/nowhere")

    def client(self, service: str) -> Any:
        return self.s3 if service == "s3" else self

    @property
    def service(self) -> dict[str, Any]:
        return {
            "serviceArn": "arn:service/c/app",
            "serviceName": "app",
            "status": "ACTIVE",
            "createdAt": NOW - timedelta(days=1),
            "desiredCount": self.desired,
            "deployments": [self.primary],
            "deploymentConfiguration": self.service_deployment.get("deploymentConfiguration", {}),
        }

    def list_service_deployments(self, **_: Any) -> dict[str, Any]:
        if self.stage_refuses:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "ListServiceDeployments")
        return {"serviceDeployments": [self.service_deployment]}

    def describe_service_deployments(self, **_: Any) -> dict[str, Any]:
        return {"serviceDeployments": [self.service_deployment]}

    def describe_service_revisions(self, **_: Any) -> dict[str, Any]:
        resolved = {"loadBalancers": [{"targetGroupArn": "tg-b"}]}
        return {"serviceRevisions": [{"resolvedConfiguration": resolved}]}

    def describe_rules(self, **_: Any) -> dict[str, Any]:
        groups = [{"TargetGroupArn": "tg", "Weight": 90}, {"TargetGroupArn": "tg-b", "Weight": 10}]
        return {"Rules": [{"Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]}]}

    def describe_services(self, **_: Any) -> dict[str, Any]:
        return {"services": [self.service]}

    def describe_target_health(self, **_: Any) -> dict[str, Any]:
        targets = [{"Target": {"Id": "10.0.1.1"}, "TargetHealth": {"State": self.health}}]
        return {"TargetHealthDescriptions": targets}

    def describe_target_groups(self, **_: Any) -> dict[str, Any]:
        return {"TargetGroups": [{"LoadBalancerArns": ["arn:lb"]}]}

    def get_managed_resource(self, **_: Any) -> dict[str, Any]:
        if self.arc_refuses:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "GetManagedResource")
        shift = {
            "zonalShiftId": "s1",
            "awayFrom": self.away,
            "expiryTime": NOW + timedelta(hours=1),
            "appliedStatus": "APPLIED",
        }
        return {"appliedWeights": {"apne2-az1": 1.0}, "zonalShifts": [shift] if self.away else []}

    def describe_availability_zones(self) -> dict[str, Any]:
        return {"AvailabilityZones": [{"ZoneName": "ap-northeast-2a", "ZoneId": "apne2-az1"}]}

    def describe_scalable_targets(self, **_: Any) -> dict[str, Any]:
        if self.autoscaling_refuses:
            error = {"Error": {"Code": "AccessDenied", "Message": "not for you"}}
            raise ClientError(error, "DescribeScalableTargets")
        if not self.limits:
            return {"ScalableTargets": []}
        least, most = self.limits
        suspended = {"ScheduledScalingSuspended": self.suspended}
        return {"ScalableTargets": [{"MinCapacity": least, "MaxCapacity": most, "SuspendedState": suspended}]}

    def get_paginator(self, operation: str) -> Any:
        return self.Alarms(self) if operation == "describe_alarms" else self

    @dataclass
    class Alarms:
        """CloudWatch's answer, a page for each alarm."""

        world: World

        def paginate(self, *, AlarmNamePrefix: str, **_: Any) -> Iterator[dict[str, Any]]:
            if self.world.cloudwatch_refuses:
                error = {"Error": {"Code": "AccessDenied", "Message": "not for you"}}
                raise ClientError(error, "DescribeAlarms")
            for name, state in self.world.alarms.items():
                if name.startswith(AlarmNamePrefix):
                    yield {"MetricAlarms": [{"AlarmName": name, "StateValue": state, "StateUpdatedTimestamp": NOW}]}

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"taskArns": ["arn:task/c/1", "arn:task/c/2"]}]

    def describe_tasks(self, *, tasks: list[str], **_: Any) -> dict[str, Any]:
        details = [{"name": "subnetId", "value": "s"}, {"name": "privateIPv4Address", "value": "10.0.1.1"}]
        running = {
            "taskArn": tasks[0],
            "taskDefinitionArn": "arn:task-definition/app:2",
            "lastStatus": "RUNNING",
            "startedAt": NOW,
            "availabilityZone": "ap-northeast-2a",
            "attachments": [{"details": details}],
        }
        starting = {"taskArn": tasks[1], "taskDefinitionArn": "arn:task-definition/app:2", "lastStatus": "PENDING"}
        return {"tasks": [starting, running]}

    def released(self, number: int, outcome: Outcome = Outcome.SUCCEEDED, **changes: Any) -> None:
        at = NOW - timedelta(hours=10 - number)
        values: dict[str, Any] = {
            "release": release_id(f"v{number}", at),
            "outcome": outcome,
            "kind": Kind.RELEASE,
            "service": incarnation(self.service),
            "version": f"v{number}",
            "digest": f"sha256:{number}",
            "revision": f"arn:task-definition/app:{number}",
            "by": "ann@laptop",
            "at": at,
            "duration_seconds": 12.0,
        }
        self.ledger().append(Event(**{**values, **changes}))

    def ledger(self) -> Ledger:
        return Ledger(self.s3, BUCKET, "local")

    def status(self) -> Status:
        return gather(
            self,
            self.stack,
            environment="local",
            bucket=BUCKET,
            stale_after=timedelta(seconds=60),
            newest=10,
            machine=Machine("here"),
            source=self.source,
            now=NOW,
        )


@pytest.fixture
def world(s3: Any) -> World:
    return World(s3)


def test_what_runs_since_when_and_by_whom(world: World) -> None:
    world.released(1)
    world.released(2)
    status = world.status()
    assert (status.version, status.revision, status.by) == ("v2", "app:2", "ann@laptop")
    assert status.since == "2026-01-31 01:00:00 UTC"
    assert status.rollback_to == "v1 (app:1)"
    assert [(task.id, task.status, task.target) for task in status.tasks] == [
        ("1", "RUNNING", "healthy"),
        ("2", "PENDING", "not registered"),
    ]
    assert status.warnings == []
    shown = text(status)
    for line in ("local  http://127.0.0.1:8080", "v2 (app:2), since", "2 of 2 tasks", "lock         free", "210 conn"):
        assert line in shown
    assert json.loads(json.dumps(status.as_row()))["releases"][0]["version"] == "v2"


def test_the_four_keys_are_of_the_ledger_and_of_git(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = NOW - timedelta(hours=11)
    monkeypatch.setattr("fargate_ops.release.measured.commit_times", lambda _, names: dict.fromkeys(names, commit))
    world.released(1)
    world.released(2)
    keys = world.status().four_keys
    assert keys
    assert (keys.deployments, keys.lead_time, keys.failure_rate) == (2, 2.5 * 3600, 0)
    assert "lead time for changes  2 h 30 min, median of 2\n" in text(world.status())
    assert json.loads(json.dumps(world.status().as_row()))["four_keys"]["deployments"] == 2


def test_without_git_no_commit_is_known(world: World) -> None:
    world.released(1)
    assert "lead time for changes  1 not known: this clone lacks the commit" in text(world.status())


def test_the_four_keys_are_not_known_without_the_ledger(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.released(1)

    def refuse(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "GetObject")

    monkeypatch.setattr(world.s3, "get_object", refuse)
    assert world.status().four_keys is None
    assert "four keys    not known" in text(world.status())


def test_a_zonal_shift_is_shown_while_it_is_active(world: World) -> None:
    assert world.status().zone_away is None
    assert "zone away" not in text(world.status())
    world.away = "apne2-az1"
    assert world.status().as_row()["zone_away"] == "ap-northeast-2a until 2026-01-31 10:00 UTC"
    assert "  zone away    ap-northeast-2a until 2026-01-31 10:00 UTC\n" in text(world.status())


def test_a_shift_that_cannot_be_read_is_a_warning(world: World) -> None:
    world.arc_refuses = True
    assert any(item.startswith("whether traffic is shifted away") for item in world.status().warnings)


def test_a_task_s_zone_is_shown(world: World) -> None:
    assert [task.zone for task in world.status().tasks] == ["ap-northeast-2a", ""]
    assert re.search(r" 10\.0\.1\.1 +ap-northeast-2a +healthy\n", text(world.status()))


def test_an_environment_without_a_database_has_none(world: World) -> None:
    world.stack = Stack({name: value for name, value in STACK.values.items() if name != "database"}, "test")
    status = world.status()
    assert status.max_connections is None
    assert "database     none" in text(status)


def of_bucket(world: World) -> str:
    return text_of_bucket(
        world.s3,
        environment="local",
        bucket=BUCKET,
        stale_after=timedelta(seconds=60),
        newest=1,
        machine=Machine("here"),
    )


def test_the_lock_and_the_releases_are_told_without_the_service(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "releases     none yet" in of_bucket(world)
    world.released(1)
    world.released(2)
    shown = of_bucket(world)
    assert "lock         free" in shown
    assert "v2" in shown
    assert "v1" not in shown, "only the newest"

    def refuse(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "GetObject")

    monkeypatch.setattr(world.s3, "get_object", refuse)
    shown = of_bucket(world)
    assert "whether somebody holds the lock is not known" in shown
    assert "the releases are not known" in shown


def test_where_a_rollback_would_land_may_be_older_than_what_is_shown(world: World) -> None:
    world.released(1)
    world.released(2)
    for number in range(3, 14):
        world.released(number, Outcome.SUCCEEDED, kind=Kind.ROLLBACK, revision="arn:task-definition/app:2")
    status = world.status()
    assert len(status.releases) == 10
    assert status.rollback_to == "v1 (app:1)"


def test_a_failure_is_told_with_its_reason(world: World) -> None:
    world.released(2)
    world.released(3, Outcome.FAILED, why="exit code 3")
    world.released(4, Outcome.IN_PROGRESS, duration_seconds=None)
    shown = text(world.status())
    assert "failed         12 s  ann@laptop  exit code 3" in shown
    assert "in_progress" in shown


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"desired": 0}, "the service has zero tasks: nothing serves"),
        ({"health": "unhealthy"}, "no target is healthy: nothing serves"),
        ({"primary": deployment(2, "FAILED")}, "the rollout of app:2 failed: circuit breaker"),
        ({"primary": deployment(2, "IN_PROGRESS")}, "a rollout of app:2 is in progress"),
        ({"primary": deployment(9)}, "the ledger does not know app:9: it was not put there by a release"),
    ],
)
def test_what_is_not_as_it_should_be_is_a_warning(world: World, change: dict[str, Any], warning: str) -> None:
    world.released(2)
    for name, value in change.items():
        setattr(world, name, value)
    status = world.status()
    assert warning in status.warnings
    assert f"  ! {warning}" in text(status)


def test_a_release_that_failed_and_still_runs_is_a_warning(world: World) -> None:
    world.released(1)
    world.released(2, Outcome.FAILED)
    assert world.status().warnings == ["the last success in the ledger is app:1, and not what runs"]


def test_a_release_that_serves_and_is_not_verified_is_a_warning(world: World) -> None:
    world.released(1)
    world.released(2, Outcome.UNVERIFIED)
    status = world.status()
    assert status.warnings == ["v2 serves and is not verified: make release ENV=local verifies it"]
    assert "unverified" in text(status)


def test_before_the_first_release(world: World) -> None:
    world.primary, world.desired = deployment(0), 0
    status = world.status()
    shown = text(status)
    assert status.version is None
    assert "version      unknown (app:0), not recorded in the ledger" in shown
    assert "releases     none yet" in shown
    assert "rollback to  nothing" in shown


@pytest.mark.parametrize(("minutes", "suffix"), [(0, "ago)"), (5, " - dead: the next flow takes it over")])
def test_a_held_lock_is_told(world: World, s3_clock: S3Clock, minutes: int, suffix: str) -> None:
    since, heard = NOW - timedelta(minutes=90), NOW - timedelta(minutes=minutes)
    s3_clock(heard, NOW)
    lock = Lock(holder="x", machine="m", pid=1, owner="bob@pc", purpose="deploy", started=since, heartbeat=heard)
    LockStore(world.s3, BUCKET, "local").swap(lock, None)
    said = world.status().lock
    assert said is not None
    assert said.startswith("bob@pc, for deploy, since 2026-01-31 07:30:00 UTC (1 h 30 min ago; last heard of")
    assert said.endswith(suffix)


def test_an_object_that_is_no_lock_is_told(world: World, s3_clock: S3Clock) -> None:
    s3_clock(NOW - timedelta(seconds=7), NOW)
    world.s3.put_object(Bucket=BUCKET, Key="locks/local.json", Body=b"locked by bob")
    shown = text(world.status())
    assert "lock         somebody unknown (the object is not a lock: it is not JSON: Expecting value" in shown
    assert "it was written 7 s ago)" in shown


def test_what_runs_is_told_when_the_lock_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.released(2)
    get_object = world.s3.get_object

    def denied(**request: Any) -> Any:
        if request["Key"].startswith("locks/"):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "GetObject")
        return get_object(**request)

    monkeypatch.setattr(world.s3, "get_object", denied)
    status = world.status()
    assert (status.version, status.lock) == ("v2", "not known")
    assert any("whether somebody holds the lock is not known" in warning for warning in status.warnings)


def test_releases_of_one_commit_are_told_apart(world: World) -> None:
    world.released(1, version="v", definition_digest="1a2b" + "0" * 60)
    world.released(2, version="v", definition_digest="3f2a" + "0" * 60)
    status = world.status()
    assert (status.version, status.name, status.rollback_to) == ("v", "v+3f2a", "v+1a2b (app:1)")
    shown = text(status)
    assert "version      v+3f2a (app:2), since" in shown
    assert "  v+1a2b             app:1  " in shown
    assert [row["name"] for row in status.releases] == ["v+3f2a", "v+1a2b"]


def test_a_rollback_that_has_not_succeeded_is_a_warning_and_lands_at_its_target(world: World) -> None:
    for number in (1, 2):
        world.released(number)
    world.released(2, Outcome.ROLLING_BACK, why="being rolled back to v1 by bob@pc")
    target = world.ledger().releases()[0]
    world.released(3, Outcome.FAILED, kind=Kind.ROLLBACK, revision=target.revision, restores=target.id)
    status = world.status()
    assert status.warnings == ["the rollback to v1 has not succeeded: make rollback ENV=local resumes it"]
    assert (status.version, status.rollback_to) == ("v2", "v1 (app:1)")
    assert status.since == "2026-01-31 01:00:00 UTC"
    assert "rolling_back   12 s  ann@laptop  being rolled back to v1 by bob@pc" in text(status)


def test_an_event_that_cannot_be_read_is_a_warning_with_its_key(world: World) -> None:
    world.released(1)
    world.released(2)
    key = f"ledger/local/{world.ledger().releases()[0].id}/succeeded.json"
    world.s3.put_object(Bucket=BUCKET, Key=key, Body=b"?")
    status = world.status()
    assert status.version == "v2"
    (warning,) = status.warnings
    assert warning.startswith(f"s3://state-bucket/{key} is not a ledger event (it is not JSON")


def test_what_runs_is_told_when_the_ledger_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.released(2)

    def denied(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "GetObject")

    monkeypatch.setattr(world.s3, "get_object", denied)
    status = world.status()
    assert (status.revision, status.version, status.releases) == ("app:2", None, [])
    assert any("the releases are not known: cannot read s3://" in warning for warning in status.warnings)


def test_alarms_of_this_environment_only(world: World) -> None:
    assert "alarms       none" in text(world.status())
    world.alarms = {"app-b": "OK", "app-a": "ALARM", "app-c": "OK", "app-d": "INSUFFICIENT_DATA", "app2-a": "ALARM"}
    status = world.status()
    assert status.alarms is not None
    assert [(alarm["name"], alarm["state"]) for alarm in status.alarms] == [
        ("app-a", "ALARM"), ("app-b", "OK"), ("app-c", "OK"), ("app-d", "INSUFFICIENT_DATA"),
    ]  # fmt: skip
    shown = text(status)
    assert (
        "alarms       1 in ALARM, 2 OK, 1 without enough data\n    app-a  in ALARM since 2026-01-31 09:00:00 UTC\n"
        in shown
    )
    assert "app-b" not in shown


def test_what_runs_is_told_when_cloudwatch_refuses(world: World) -> None:
    world.released(2)
    world.cloudwatch_refuses = True
    status = world.status()
    assert (status.version, status.alarms) == ("v2", None)
    assert any("not for you" in warning for warning in status.warnings)
    assert "alarms       not known" in text(status)


def test_which_limits_hold_and_what_comes(world: World) -> None:
    world.released(2)
    status = world.status()
    assert "scaling      3 to 6 tasks; 2 to 4 tasks from 2026-02-02 09:30 Asia/Seoul" in text(status)
    assert status.warnings == []
    assert json.loads(json.dumps(status.as_row()))["scaling"] == {
        "registered": {"minimum": 3, "maximum": 6},
        "wanted": {"minimum": 3, "maximum": 6},
        "next": {"minimum": 2, "maximum": 4},
        "next_at": "2026-02-02 09:30 Asia/Seoul",
        "suspended": False,
    }


def test_limits_that_should_not_hold_are_a_warning(world: World) -> None:
    world.limits = (2, 4)
    assert not any("limits" in warning for warning in world.status().warnings), "nothing was released yet"
    world.released(2)
    assert world.status().warnings == [
        "auto scaling's limits are 2 to 4 tasks, and 3 to 6 tasks should hold: make deploy ENV=local sets them"
    ]


def test_a_suspended_schedule_is_a_warning(world: World) -> None:
    world.suspended = True
    assert not any("suspended" in warning for warning in world.status().warnings), "nothing was released yet"
    world.released(2)
    assert world.status().warnings == ["scheduled scaling is suspended: make deploy ENV=local resumes it"]


def test_what_runs_is_told_when_auto_scaling_refuses(world: World) -> None:
    world.released(2)
    world.autoscaling_refuses = True
    status = world.status()
    assert status.version == "v2"
    assert any("limits are not known" in warning for warning in status.warnings)
    assert "scaling      limits not known; 2 to 4" in text(status)


def canary(world: World, stage: str, **changes: Any) -> World:
    """Put a canary in flight, at a stage."""
    world.stack, world.primary = WITH_RULE, deployment(3, "IN_PROGRESS")
    world.service_deployment = {
        "serviceDeploymentArn": "arn:service-deployment/1",
        "status": "IN_PROGRESS",
        "createdAt": NOW,
        "updatedAt": NOW,
        "lifecycleStage": stage,
        "targetServiceRevision": {"arn": "arn:service-revision/1"},
        "deploymentConfiguration": {
            "strategy": "CANARY",
            "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5},
            "bakeTimeInMinutes": 3,
        },
        **changes,
    }
    return world


def test_a_release_in_flight_shows_its_stage_and_its_end(world: World) -> None:
    status = canary(world, "PRODUCTION_TRAFFIC_SHIFT").status()
    ends = f"{(NOW + timedelta(minutes=8)).astimezone():%H:%M:%S}"
    assert status.in_flight == (
        f"10 % of the requests go to app:3, bake of 5 min; it ends by {ends}; make abort ENV=local undoes it"
    )
    assert f"  in flight    {status.in_flight}" in text(status).splitlines()


def test_a_paused_release_shows_the_command_that_continues_it(world: World) -> None:
    hook = {"hookId": "1", "status": "AWAITING_ACTION", "expiresAt": NOW}
    status = canary(world, "POST_TEST_TRAFFIC_SHIFT", lifecycleHookDetails=[hook]).status()
    assert status.in_flight == (
        f"paused: only test requests get app:3; ECS undoes it at {NOW.astimezone():%H:%M:%S}; "
        "make promote ENV=local continues it, make abort ENV=local undoes it"
    )


def test_a_release_that_ecs_undoes_is_shown_so(world: World) -> None:
    status = canary(world, "PRODUCTION_TRAFFIC_SHIFT", status="ROLLBACK_IN_PROGRESS").status()
    assert status.in_flight == "the requests go back from app:3"


def test_a_stage_that_cannot_be_read_is_a_warning(world: World) -> None:
    canary(world, "BAKE_TIME").stage_refuses = True
    status = world.status()
    assert status.in_flight is None
    assert any("the stage of the release in flight is not known: " in warning for warning in status.warnings)


def test_without_a_release_in_flight_nothing_is_shown(world: World) -> None:
    assert world.status().in_flight is None
    assert "in flight" not in text(world.status())

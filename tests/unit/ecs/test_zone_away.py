"""When traffic may leave a zone, and which calls move it: against an account with its own answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.core.outcome import Kind
from fargate_ops.core.project import ROLES
from fargate_ops.ecs.zone_away import Limits, RefusedError, Result, ZoneAway
from fargate_ops.terraform.stack import Stack
from tests.terraform.policies import Call, Policy, allows
from tests.terraform.rights import granted, pointless

NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
ARN = "arn:aws:elasticloadbalancing:ap-northeast-2:000000000000:loadbalancer/app/shop-qa/1a2b"
STACK = Stack({"cluster_name": "c", "service_name": "shop", "target_group_arn": "tg"}, "qa")
LIMITS = Limits(cpu_percent=80, minutes=5)
#: Names and ids differ in their order, as they may in any account.
IDS = {"ap-northeast-2a": "apne2-az3", "ap-northeast-2b": "apne2-az1", "ap-northeast-2c": "apne2-az2"}
A, B, C = IDS


def refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


@dataclass
class World:
    """A service with a task in each of ``zones``; ``sick`` are the zones whose targets are unhealthy."""

    zones: list[str] = field(default_factory=lambda: [A, B, C])
    sick: set[str] = field(default_factory=set)
    cpu: list[float] | None = field(default_factory=lambda: [20.0, 30.0])
    enabled: bool = True
    shifts: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return _Client(self, service)

    def away(self) -> ZoneAway:
        return ZoneAway(self, STACK, "qa", self.said.append)

    def start(self, zone: str = A, limits: Limits = LIMITS, *, preview: bool = False) -> Result:
        return self.away().start(zone, "1h", "why", limits, NOW, preview=preview)

    # The answers.

    def describe_target_groups(self, *, TargetGroupArns: list[str]) -> dict[str, Any]:
        assert TargetGroupArns == ["tg"]
        return {"TargetGroups": [{"LoadBalancerArns": [ARN]}]}

    def get_managed_resource(self, *, resourceIdentifier: str) -> dict[str, Any]:
        if not self.enabled:
            raise refused("ResourceNotFoundException", "GetManagedResource")
        assert resourceIdentifier == ARN
        return {"appliedWeights": dict.fromkeys(IDS.values(), 1.0), "zonalShifts": self.shifts}

    def describe_availability_zones(self) -> dict[str, Any]:
        zones = [{"ZoneName": name, "ZoneId": identifier} for name, identifier in IDS.items()]
        return {"AvailabilityZones": [*zones, {"ZoneName": "ap-northeast-2d", "ZoneId": "apne2-az4"}]}

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"taskArns": [f"arn:aws:ecs:r:a:task/c/{number}" for number in range(len(self.zones))]}]

    def describe_tasks(self, *, tasks: list[str], **_: Any) -> dict[str, Any]:
        return {
            "tasks": [
                {
                    "taskArn": arn,
                    "lastStatus": "RUNNING",
                    "availabilityZone": zone,
                    "attachments": [{"details": [{"name": "privateIPv4Address", "value": f"10.0.0.{number}"}]}],
                }
                for number, (arn, zone) in enumerate(zip(tasks, self.zones, strict=True))
            ]
        }

    def describe_target_health(self, **_: Any) -> dict[str, Any]:
        return {
            "TargetHealthDescriptions": [
                {
                    "Target": {"Id": f"10.0.0.{number}"},
                    "TargetHealth": {"State": "unhealthy" if zone in self.sick else "healthy"},
                }
                for number, zone in enumerate(self.zones)
            ]
        }

    def get_metric_data(self, *, MetricDataQueries: Any, StartTime: datetime, EndTime: datetime) -> dict[str, Any]:
        assert (StartTime, EndTime) == (NOW - timedelta(minutes=5), NOW)
        if self.cpu is None:
            raise refused("InternalServiceFault", "GetMetricData")
        return {"MetricDataResults": [{"Id": MetricDataQueries[0]["Id"], "Values": self.cpu}]}

    def start_zonal_shift(self, **request: Any) -> dict[str, Any]:
        assert request == {
            "resourceIdentifier": ARN,
            "awayFrom": request["awayFrom"],
            "expiresIn": "1h",
            "comment": "why",
        }
        self.shifts.append(
            {
                "zonalShiftId": "s1",
                "awayFrom": request["awayFrom"],
                "expiryTime": NOW + timedelta(hours=1),
                "appliedStatus": "APPLIED",
            }
        )
        return self.shifts[-1]

    def cancel_zonal_shift(self, *, zonalShiftId: str) -> None:
        self.shifts = [shift for shift in self.shifts if shift["zonalShiftId"] != zonalShiftId]


class _Client:
    """Records each call as IAM names it."""

    def __init__(self, world: World, service: str) -> None:
        self._world, self._service = world, {"elbv2": "elasticloadbalancing"}.get(service, service)

    def __getattr__(self, method: str) -> Any:
        if method == "get_paginator":
            return self._paginator
        self._record(method)
        return getattr(self._world, method)

    def _paginator(self, operation: str) -> Any:
        self._record(operation)
        return self._world

    def _record(self, method: str) -> None:
        self._world.calls.append(f"{self._service}:{''.join(word.title() for word in method.split('_'))}")


def test_traffic_leaves_the_zone_by_its_id_for_an_hour() -> None:
    world = World()
    started = f"no new request goes to {B} until 2026-01-31 10:00 UTC"
    assert world.start(B) == Result(changed=True, zone=B, what=started)
    assert [item["awayFrom"] for item in world.shifts] == ["apne2-az1"]
    assert world.said == ["the other zones have 2 of 3 healthy targets; at 45 % CPU"]


def test_a_second_run_changes_nothing() -> None:
    world = World()
    world.start(B)
    active = f"traffic is already away from {B} until 2026-01-31 10:00 UTC"
    assert world.start(B) == Result(changed=False, zone=B, what=active)
    assert len(world.shifts) == 1


def test_the_shift_is_cancelled_once() -> None:
    world = World()
    world.start(B)
    assert world.away().cancel(preview=False) == Result(changed=True, zone="", what=f"traffic goes to {B} again")
    assert world.shifts == []
    nothing = "traffic goes to all zones: no zonal shift was active"
    assert world.away().cancel(preview=False) == Result(changed=False, zone="", what=nothing)


def test_check_mode_neither_starts_nor_cancels() -> None:
    world = World()
    would = f"would move traffic away from {B} for 1h"
    assert world.start(B, preview=True) == Result(changed=False, zone="", what=would)
    assert world.shifts == []
    world.start(B)
    assert world.away().cancel(preview=True) == Result(changed=False, zone=B, what=f"would let traffic go to {B} again")
    assert len(world.shifts) == 1


@pytest.mark.parametrize(
    ("world", "zone", "says"),
    [
        (World(enabled=False), A, "zonal shift is not enabled on the load balancer. Next: make infra ENV=qa"),
        (
            World(),
            "ap-northeast-2d",
            f"ap-northeast-2d is no zone of the load balancer; its zones are {B}, {C}, {A}. "
            f"Next: make zone-away ZONE={B} ENV=qa",
        ),
        (World(), "", "ZONE names no zone of the load balancer; its zones are"),
        (
            World(sick={B, C}),
            A,
            f"the other zones have no healthy target, so a shift away from {A} would have no effect. "
            f"Next: make status ENV=qa",
        ),
        (World(zones=[A, A]), A, "the other zones have no healthy target"),
        # Three tasks at 54 % need two at 81 %.
        (
            World(cpu=[54.0, 10.0]),
            A,
            f"without {A}, the other zones' 2 healthy targets would need 81 % CPU, more than 80 %; the load needs 3 of "
            f"them. Next: raise app_min_tasks, then make deploy ENV=qa",
        ),
        # Only one of them is healthy.
        (World(cpu=[30.0], sick={C}), A, "1 healthy targets would need 90 % CPU"),
    ],
)
def test_a_shift_is_refused(world: World, zone: str, says: str) -> None:
    with pytest.raises(RefusedError) as error:
        world.start(zone)
    assert says in str(error.value)
    assert error.value.kind is Kind.REFUSED
    assert world.shifts == []


def test_another_zone_is_refused_while_a_shift_is_active() -> None:
    world = World()
    world.start(B)
    with pytest.raises(RefusedError, match=rf"^traffic is away from {B} until .*make zone-away CANCEL=1 ENV=qa$"):
        world.start(A)


@pytest.mark.parametrize(
    ("world", "limits"),
    [
        pytest.param(World(cpu=[53.0]), LIMITS, id="two tasks need 79.5 %"),
        pytest.param(World(cpu=[54.0]), Limits(cpu_percent=81, minutes=5), id="the operator accepts more"),
        pytest.param(World(cpu=[95.0], sick={A}), LIMITS, id="the zone carries nothing"),
        pytest.param(World(cpu=[]), LIMITS, id="CloudWatch has no CPU"),
        pytest.param(World(cpu=None), LIMITS, id="CloudWatch does not answer"),
    ],
)
def test_a_shift_is_not_refused(world: World, limits: Limits) -> None:
    assert world.start(A, limits).changed


def test_that_the_load_is_not_known_is_said() -> None:
    world = World(cpu=None)
    world.start(A)
    assert world.said == [
        "the other zones have 2 of 3 healthy targets; the load is not known: CloudWatch has no CPU of the service"
    ]


def test_the_role_s_policy_allows_its_calls_and_nothing_else() -> None:
    policy: Policy = json.loads((ROLES / "zone_away/files/policy.json").read_text())
    world = World()
    world.start(A)
    world.away().cancel(preview=False)
    resources = {"arc-zonal-shift": ARN, "ecs:DescribeTasks": "arn:aws:ecs:r:a:task/c/1"}
    for action in world.calls:
        resource = resources.get(action) or resources.get(action.partition(":")[0], "*")
        assert allows([policy], Call(action, resource)), action
    state = {"s3:GetObject", "s3:ListBucket"}  # Terraform reads its outputs
    assert granted([policy]) == set(world.calls) | state
    assert pointless([policy]) == []

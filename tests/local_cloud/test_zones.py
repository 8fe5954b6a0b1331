"""Availability zones: where tasks are, a zonal shift of the load balancer, and a zone whose tasks are cut off."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.drill.steady_state import observe
from fargate_ops.drill.zone_loss import give_back, lose_zone
from fargate_ops.ecs.zone_away import Limits, RefusedError, ZoneAway
from fargate_ops.incident.causes import Name
from fargate_ops.terraform.stack import Stack
from local_cloud.ecs.task_zones import spread
from local_cloud.elbv2.haproxy import ServerState
from local_cloud.elbv2.load_balancer import without_zone
from local_cloud.elbv2.targets import Target
from local_cloud.elbv2.zonal_shifts import ShiftError, Shifts
from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.services import StubService, make_service

A, B = Target("10.0.0.1", 8000), Target("10.0.0.2", 8000)
ZONES = {A: "apne2-az1", B: "apne2-az2"}
BUCKET = "state"
READY, DRAIN = ServerState.READY, ServerState.DRAIN


@pytest.mark.parametrize(
    ("states", "away", "expected"),
    [
        ({A: READY, B: READY}, None, {A: READY, B: READY}),
        ({A: READY, B: READY}, "apne2-az1", {A: DRAIN, B: READY}),
        ({A: READY, B: DRAIN}, "apne2-az1", {A: READY, B: DRAIN}),
        ({A: READY}, "apne2-az1", {A: READY}),
        ({A: READY, B: READY}, "apne2-az3", {A: READY, B: READY}),
    ],
    ids=["no shift", "a shift", "no ready target elsewhere", "no target elsewhere", "a zone without a target"],
)
def test_a_shift_takes_a_zone_s_targets_away_if_others_are_ready(
    states: dict[Target, ServerState], away: str | None, expected: dict[Target, ServerState]
) -> None:
    assert without_zone(states, ZONES, away) == expected


class Arc:
    """The zonal shifts of one load balancer in two zones, with a clock of its own."""

    def __init__(self) -> None:
        self.now, self.changes = 1000.0, 0
        self.shifts = Shifts(
            lambda arn: ["apne2-az1", "apne2-az2"] if arn == "arn:lb/app/one/1" else None, clock=lambda: self.now
        )
        self.shifts.observe(self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def start(self, **changes: str) -> Any:
        body = {"resourceIdentifier": "arn:lb/app/one/1", "awayFrom": "apne2-az1", "expiresIn": "1h", "comment": "why"}
        return self.shifts.answer("POST", "/zonalshifts", {}, body | changes)[1]

    @property
    def away(self) -> str | None:
        return self.shifts.away_from("arn:lb/app/one/1")

    def statuses(self, **query: str) -> list[str]:
        return [item["status"] for item in self.shifts.answer("GET", "/zonalshifts", query, {})[1]["items"]]


def test_a_shift_ends_when_it_expires() -> None:
    arc = Arc()
    shift = arc.start(expiresIn="90m")
    assert shift["expiryTime"] - shift["startTime"] == 90 * 60
    arc.now += 90 * 60 - 1
    assert arc.away == "apne2-az1"
    arc.now += 1
    assert arc.away is None
    assert arc.statuses() == ["EXPIRED"]
    arc.start(awayFrom="apne2-az2")
    assert (arc.away, arc.statuses(status="ACTIVE")) == ("apne2-az2", ["ACTIVE"])


def test_a_shift_can_be_prolonged_and_cancelled_once() -> None:
    arc = Arc()
    path = f"/zonalshifts/{arc.start()['zonalShiftId']}"
    arc.now += 1800
    assert arc.shifts.answer("PATCH", path, {}, {"expiresIn": "2h"})[1]["expiryTime"] == arc.now + 7200
    assert arc.shifts.answer("DELETE", path, {}, {})[1]["status"] == "CANCELED"
    assert arc.away is None
    assert arc.changes == 3
    with pytest.raises(ShiftError) as error:
        arc.shifts.answer("DELETE", path, {}, {})
    assert (error.value.status, error.value.body["reason"]) == (409, "ZonalShiftStatusNotActive")


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"awayFrom": "apne2-az3"}, 400, "InvalidAz"),
        ({"awayFrom": "ap-northeast-2a"}, 400, "InvalidAz"),
        ({"expiresIn": "73h"}, 400, "InvalidExpiresIn"),
        ({"expiresIn": "1d"}, 400, "InvalidExpiresIn"),
        ({"resourceIdentifier": "arn:lb/app/other/2"}, 404, None),
    ],
)
def test_a_shift_is_refused(changes: dict[str, str], status: int, reason: str | None) -> None:
    with pytest.raises(ShiftError) as error:
        Arc().start(**changes)
    assert (error.value.status, error.value.body.get("reason")) == (status, reason)


def test_a_load_balancer_has_one_active_shift() -> None:
    arc = Arc()
    first = arc.start()["zonalShiftId"]
    with pytest.raises(ShiftError) as error:
        arc.start(awayFrom="apne2-az2")
    assert error.value.body["reason"] == "ZonalShiftAlreadyExists"
    assert error.value.body["zonalShiftId"] == first


def subnets_of(count: int, *, stopped: frozenset[int] = frozenset()) -> list[str]:
    """Start tasks one after the other; those whose number is in ``stopped`` stop at once. Return their subnets."""
    tasks: list[dict[str, str]] = []
    for number in range(count):
        network = spread({"awsvpcConfiguration": {"subnets": ["a", "b", "c"]}}, tasks)
        status = "STOPPED" if number in stopped else "RUNNING"
        tasks.append({"_subnet": network["awsvpcConfiguration"]["subnets"][0], "desiredStatus": status})
    return [task["_subnet"] for task in tasks]


def test_tasks_spread_over_subnets_in_turn() -> None:
    assert subnets_of(5) == ["a", "b", "c", "a", "b"]
    # A subnet in which tasks end does not get every next one.
    assert subnets_of(6, stopped=frozenset({3})) == ["a", "b", "c", "a", "b", "c"]


@dataclass
class Zones:
    """A service with a task in each of three zones, behind the served load balancer."""

    service: StubService
    subnets: dict[str, str]

    @property
    def cloud(self) -> RunningCloud:
        return self.service.cloud

    def client(self, service: str) -> Any:
        return self.cloud.client(service)

    @property
    def stack(self) -> Stack:
        return Stack(
            {
                "cluster_name": self.service.cluster,
                "service_name": self.service.name,
                "target_group_arn": self.service.target_group,
                "private_subnet_ids": list(self.subnets.values()),
            },
            "test",
        )

    def tasks(self) -> dict[str, str]:
        """Return the running tasks' zones by their containers."""
        tasks = [task for task in self.service.tasks() if task["lastStatus"] == "RUNNING"]
        return {task["containers"][0]["runtimeId"]: task["availabilityZone"] for task in tasks}

    def answering(self) -> set[str]:
        """Return the zones of the tasks that answer; round robin reaches each of three in twelve requests."""
        tasks = self.tasks()
        return {tasks.get(self._host(), "gone") for _ in range(12)}

    def _host(self) -> str:
        url = f"http://127.0.0.1:{self.cloud.config.load_balancer_port}/environment"
        try:
            with urllib.request.urlopen(url, timeout=15) as answer:
                return str(json.loads(answer.read())["HOSTNAME"])
        except OSError:
            return ""

    def healthy(self) -> set[str]:
        """Return the zones of the healthy targets."""
        found = self.service.elb.describe_target_health(TargetGroupArn=self.service.target_group)
        targets = found["TargetHealthDescriptions"]
        return {item["Target"]["AvailabilityZone"] for item in targets if item["TargetHealth"]["State"] == "healthy"}


@pytest.fixture(scope="module")
def zones(start_cloud: Callable[..., RunningCloud], stub_image: str) -> Iterator[Zones]:
    cloud = start_cloud()
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/18")["Vpc"]["VpcId"]
    subnets = {
        f"ap-northeast-2{letter}": ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"ap-northeast-2{letter}"
        )["Subnet"]["SubnetId"]
        for number, letter in enumerate("abc")
    }
    service = make_service(cloud, stub_image, HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=5)
    service.elb.set_subnets(LoadBalancerArn=service.load_balancer, Subnets=list(subnets.values()))
    network = {"awsvpcConfiguration": {"subnets": list(subnets.values())}}
    service.create(service.register(), desired=3, networkConfiguration=network)
    service.wait_deployed()
    here = {"LocationConstraint": cloud.config.region}
    cloud.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=here)
    yield Zones(service, subnets)
    service.delete()


@pytest.mark.local_cloud
def test_a_service_s_tasks_and_targets_are_in_the_zones_of_its_subnets(zones: Zones) -> None:
    assert sorted(zones.tasks().values()) == list(zones.subnets)
    assert zones.healthy() == set(zones.subnets)
    for task in zones.service.tasks():
        subnet = next(item["value"] for item in task["attachments"][0]["details"] if item["name"] == "subnetId")
        assert zones.subnets[task["availabilityZone"]] == subnet


@pytest.mark.local_cloud
def test_a_shift_moves_requests_to_the_other_zones_until_it_is_cancelled(zones: Zones) -> None:
    arc, balancer = zones.client("arc-zonal-shift"), zones.service.load_balancer
    away = ZoneAway(zones, zones.stack, "test", print)
    limits, now = Limits(cpu_percent=80, minutes=5), datetime.now(UTC)
    with pytest.raises(RefusedError, match="zonal shift is not enabled"):
        away.cancel(preview=False)
    zones.service.elb.modify_load_balancer_attributes(
        LoadBalancerArn=balancer, Attributes=[{"Key": "zonal_shift.config.enabled", "Value": "true"}]
    )
    assert zones.answering() == set(zones.subnets)

    assert away.start("ap-northeast-2a", "1h", "a test", limits, now, preview=False).changed
    wait_for(lambda: zones.answering() == {"ap-northeast-2b", "ap-northeast-2c"})
    assert zones.healthy() == set(zones.subnets), "a shift changes no target's health"
    (active,) = arc.list_zonal_shifts(resourceIdentifier=balancer, status="ACTIVE")["items"]
    assert active["awayFrom"] == "apne2-az1"
    with pytest.raises(ClientError, match="ConflictException"):
        arc.start_zonal_shift(resourceIdentifier=balancer, awayFrom="apne2-az2", expiresIn="1h", comment="")
    assert not away.start("ap-northeast-2a", "1h", "a test", limits, now, preview=False).changed

    assert away.cancel(preview=False).changed
    wait_for(lambda: zones.answering() == set(zones.subnets))
    assert not away.cancel(preview=False).changed


@pytest.mark.local_cloud
def test_a_zone_whose_acl_allows_nothing_is_replaced_and_reachable_again(zones: Zones) -> None:
    # ECS replaces only tasks that are older than their grace period.
    zones.service.update(healthCheckGracePeriodSeconds=0)
    before = zones.tasks()
    loss = lose_zone(zones, zones.stack, lambda: observe(zones, zones.stack, BUCKET, "test"), 240, print)
    assert loss.zone == "ap-northeast-2a"
    assert len(loss.lost) == 1
    assert loss.started
    kept = {container for container, zone in before.items() if zone != loss.zone}
    assert kept < set(zones.tasks())
    assert zones.healthy() == set(zones.subnets) - {loss.zone}
    (cause,) = zones.service.causes()
    assert (cause.name, cause.next) == (Name.ZONE_LOST, f"make zone-away ENV=test ZONE={loss.zone}")
    give_back(zones, zones.stack)
    wait_for(lambda: zones.answering() == zones.healthy())

    acls = zones.client("ec2").describe_network_acls()["NetworkAcls"]
    assert all(acl["IsDefault"] for acl in acls), "the subnet has its ACL again"
    zones.service.update(desiredCount=4)
    wait_for(lambda: loss.zone in zones.healthy(), what="a task starts in the zone again")

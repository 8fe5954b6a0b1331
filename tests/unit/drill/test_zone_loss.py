"""The loss of a zone, against a simulated account with its own clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from fargate_ops.drill.steady_state import DrillError, ServiceState
from fargate_ops.drill.zone_loss import TAG, ZoneLoss, give_back, lose_zone
from fargate_ops.terraform.stack import Stack

STACK = Stack(
    {
        "cluster_name": "c",
        "service_name": "shop",
        "target_group_arn": "tg",
        "private_subnet_ids": ["subnet-a", "subnet-b", "subnet-c"],
    },
    "qa",
)


@dataclass
class World:
    """Tasks by id and zone. A zone's targets are unhealthy ``detect`` seconds after its loss, and then replaced."""

    tasks: dict[str, str] = field(default_factory=lambda: {"1": "a", "2": "b"})
    detect: float = 10.0
    replaces: bool = True
    now: float = 100.0
    acls: dict[str, str] = field(default_factory=lambda: {f"subnet-{zone}": "acl-default" for zone in "abc"})
    made: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    lost_at: float | None = None
    lost_zones: list[str] = field(default_factory=list)

    def client(self, _: str) -> World:
        return self

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        closed = self.closed
        if closed and self.lost_at is not None and self.now - self.lost_at > self.detect + 1 and self.replaces:
            self.tasks = {
                (f"{task}'" if zone == closed else task): ("c" if zone == closed else zone)
                for task, zone in self.tasks.items()
            }

    @property
    def closed(self) -> str:
        return next((subnet[-1] for subnet, acl in self.acls.items() if acl in self.made), "")

    def healthy(self, zone: str) -> bool:
        return zone != self.closed or self.lost_at is None or self.now - self.lost_at < self.detect

    def state(self) -> ServiceState:
        healthy = sum(self.healthy(zone) for zone in self.tasks.values())
        targets = {"healthy": healthy, "unhealthy": len(self.tasks) - healthy}
        return ServiceState(
            revision="shop:4",
            version="v4",
            rollout="COMPLETED",
            desired=len(self.tasks),
            tasks=dict.fromkeys(self.tasks, "shop:4"),
            running=len(self.tasks),
            targets={name: count for name, count in targets.items() if count},
        )

    # The account.

    def get_paginator(self, _: str) -> World:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"taskArns": [f"arn:task/c/{task}" for task in self.tasks]}]

    def describe_tasks(self, *, tasks: list[str], **_: Any) -> dict[str, Any]:
        return {
            "tasks": [
                {
                    "taskArn": arn,
                    "availabilityZone": zone,
                    "attachments": [{"details": [{"name": "privateIPv4Address", "value": task}]}],
                }
                for arn, (task, zone) in zip(tasks, self.tasks.items(), strict=True)
            ]
        }

    def describe_target_health(self, **_: Any) -> dict[str, Any]:
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": task}, "TargetHealth": {"State": "healthy" if self.healthy(zone) else "unhealthy"}}
                for task, zone in self.tasks.items()
            ]
        }

    def describe_subnets(self, *, SubnetIds: list[str]) -> dict[str, Any]:
        subnets = [{"SubnetId": name, "VpcId": "vpc", "AvailabilityZone": name[-1]} for name in SubnetIds]
        return {"Subnets": subnets}

    def describe_network_acls(self, **_: Any) -> dict[str, Any]:
        def record(acl: str) -> dict[str, Any]:
            associations = [
                {"NetworkAclAssociationId": f"on-{subnet}", "NetworkAclId": acl, "SubnetId": subnet}
                for subnet, its in self.acls.items()
                if its == acl
            ]
            return {"NetworkAclId": acl, "Associations": associations, "Tags": self.made.get(acl, [])}

        return {"NetworkAcls": [record(acl) for acl in ("acl-default", *self.made)]}

    def create_network_acl(self, *, VpcId: str, TagSpecifications: list[dict[str, Any]]) -> dict[str, Any]:
        assert VpcId == "vpc"
        name = f"acl-{len(self.made)}"
        self.made[name] = TagSpecifications[0]["Tags"]
        return {"NetworkAcl": {"NetworkAclId": name}}

    def replace_network_acl_association(self, *, AssociationId: str, NetworkAclId: str) -> None:
        self.acls[AssociationId.removeprefix("on-")] = NetworkAclId
        if self.closed:
            self.lost_at = self.now
            self.lost_zones.append(self.closed)

    def delete_network_acl(self, *, NetworkAclId: str) -> None:
        assert NetworkAclId not in self.acls.values(), "AWS refuses to delete an ACL in use"
        del self.made[NetworkAclId]

    def lose(self, limit: float = 60) -> ZoneLoss:
        return lose_zone(self, STACK, self.state, limit, lambda _: None, clock=self.clock, sleep=self.sleep)


def test_the_zone_s_tasks_are_replaced_and_its_subnet_has_its_acl_again() -> None:
    world = World()
    loss = world.lose()
    assert (loss.zone, loss.lost, loss.started) == ("a", ["1"], ["1'"])
    assert 10 <= loss.out_seconds < loss.seconds < 13
    assert loss.lost_at == 100
    assert loss.steady_at == pytest.approx(100 + loss.seconds)
    assert world.closed == "a", "until it is given back"
    give_back(world, STACK)
    assert (world.acls, world.made) == (World().acls, {})


def test_the_zone_with_most_tasks_is_lost() -> None:
    world = World(tasks={"1": "a", "2": "b", "3": "b"})
    assert world.lose().lost == ["2", "3"]
    assert world.lost_zones == ["b"]


def test_a_service_in_one_zone_is_left_alone() -> None:
    world = World(tasks={"1": "a", "2": "a"})
    with pytest.raises(DrillError, match="all tasks are in a: nothing would be left to carry on"):
        world.lose()
    assert world.lost_zones == []


def test_tasks_that_are_not_replaced_fail_the_drill_and_the_zone_is_back() -> None:
    world = World(replaces=False)
    with pytest.raises(
        DrillError, match=r"^the tasks of a were not replaced within 20 s: targets: 1 healthy, 1 unhealthy"
    ):
        world.lose(limit=20)
    assert (world.acls, world.made) == (World().acls, {})


def test_what_an_interrupted_drill_left_is_put_back() -> None:
    world = World(made={"acl-left": [{"Key": TAG, "Value": "acl-default"}]})
    world.acls["subnet-c"] = "acl-left"
    world.lose()
    assert world.acls["subnet-c"] == "acl-default"
    give_back(world, STACK)
    assert (world.acls, world.made) == (World().acls, {})

"""Cut one availability zone's tasks off the network, and watch until the service has recovered without them.

The subnet of the zone gets a network ACL that allows nothing, as AWS's fault injection does it:
https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html#disrupt-connectivity
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.drill.faults import STATE_POLL_SECONDS
from fargate_ops.drill.steady_state import DrillError, ServiceState
from fargate_ops.ecs.tasks import describe_tasks, list_tasks, short
from fargate_ops.ecs.traffic import target_groups, target_health
from fargate_ops.ecs.zones import healthy_by_zone
from fargate_ops.terraform.stack import Stack

Say = Callable[[str], None]

#: The tag of the drill's ACL; its value is the ACL that the subnet had before.
TAG = "drill-zone-lost-before"


@dataclass(frozen=True, kw_only=True)
class ZoneLoss:
    """The loss of a zone: the tasks that ran in it, and those that were started since.

    ``out_seconds``: until the zone had no healthy target; ``seconds``: until the service was steady without its tasks.
    ``lost_at`` and ``steady_at`` are times of this machine's monotonic clock.
    """

    zone: str
    lost: list[str]
    started: list[str]
    out_seconds: float
    seconds: float
    lost_at: float
    steady_at: float

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


class Acls:
    """The network ACLs of a VPC's subnets."""

    def __init__(self, ec2: Any, vpc: str) -> None:
        self._ec2, self._vpc = ec2, vpc

    def cut_off(self, subnet: str) -> None:
        """Let no packet into or out of the subnet, until `restore`."""
        association = next(item for acl in self._all() for item in acl["Associations"] if item["SubnetId"] == subnet)
        tag = {"Key": TAG, "Value": association["NetworkAclId"]}
        specification = [{"ResourceType": "network-acl", "Tags": [tag]}]
        acl = self._ec2.create_network_acl(VpcId=self._vpc, TagSpecifications=specification)["NetworkAcl"]
        self._associate(association, acl["NetworkAclId"])

    def restore(self) -> None:
        """Give the subnets the ACL that they had before this or an interrupted drill."""
        for acl in self._all():
            for before in [tag["Value"] for tag in acl.get("Tags", []) if tag["Key"] == TAG]:
                for association in acl["Associations"]:
                    self._associate(association, before)
                self._ec2.delete_network_acl(NetworkAclId=acl["NetworkAclId"])

    def _associate(self, association: Mapping[str, Any], acl: str) -> None:
        self._ec2.replace_network_acl_association(
            AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl
        )

    def _all(self) -> list[Mapping[str, Any]]:
        filters = [{"Name": "vpc-id", "Values": [self._vpc]}]
        found: list[Mapping[str, Any]] = self._ec2.describe_network_acls(Filters=filters)["NetworkAcls"]
        return found


def lose_zone(
    clients: Clients,
    stack: Stack,
    read_state: Callable[[], ServiceState],
    limit_seconds: float,
    say: Say,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ZoneLoss:
    """Cut off the zone that has most of the service's tasks, and wait until the service is steady without them.

    The zone stays cut off until `give_back`.

    Raises:
        DrillError: all tasks are in one zone, or the tasks were not replaced within the limit.
    """
    ec2 = clients.client("ec2")
    tasks = _tasks(clients, stack)
    counts = Counter(str(task["availabilityZone"]) for task in tasks)
    if len(counts) < 2:
        raise DrillError(f"all tasks are in {', '.join(counts)}: nothing would be left to carry on")
    name = min(counts, key=lambda zone: (-counts[zone], zone))
    subnets = _subnets(ec2, stack)
    acls = Acls(ec2, subnets[name]["VpcId"])
    acls.restore()
    lost = sorted(short(task["taskArn"]) for task in tasks if task["availabilityZone"] == name)
    known = {short(task["taskArn"]) for task in tasks}
    say(f"cutting off {name}, with {len(lost)} of {len(tasks)} tasks")
    lost_at, out_seconds, said = clock(), None, ""
    try:
        acls.cut_off(subnets[name]["SubnetId"])
        while True:
            if out_seconds is None and not _healthy(clients, stack)[name]:
                out_seconds = clock() - lost_at
                say(f"  {out_seconds:5.1f} s  {name} has no healthy target")
            seen = read_state()
            line = f"{seen.running} of {seen.desired} tasks run, targets: {seen.targets_text}"
            if line != said:
                say(f"  {clock() - lost_at:5.1f} s  {line}")
                said = line
            if out_seconds is not None and not set(lost) & set(seen.tasks) and not seen.missing:
                break
            if clock() - lost_at > limit_seconds:
                missing = seen.missing or "they still run"
                raise DrillError(f"the tasks of {name} were not replaced within {limit_seconds:.0f} s: {missing}")
            sleep(STATE_POLL_SECONDS)
    except BaseException:  # also after Ctrl-C
        acls.restore()
        raise
    return ZoneLoss(
        zone=name,
        lost=lost,
        started=sorted(set(seen.tasks) - known),
        out_seconds=round(out_seconds, 1),
        seconds=round(clock() - lost_at, 1),
        lost_at=lost_at,
        steady_at=clock(),
    )


def give_back(clients: Clients, stack: Stack) -> None:
    """Give the zone's subnet the ACL that it had before."""
    ec2 = clients.client("ec2")
    for vpc in {subnet["VpcId"] for subnet in _subnets(ec2, stack).values()}:
        Acls(ec2, vpc).restore()


def _subnets(ec2: Any, stack: Stack) -> dict[str, Any]:
    """Return the private subnets by their zone."""
    found = ec2.describe_subnets(SubnetIds=stack.private_subnet_ids)["Subnets"]
    return {subnet["AvailabilityZone"]: subnet for subnet in found}


def _tasks(clients: Clients, stack: Stack) -> Sequence[Mapping[str, Any]]:
    ecs, cluster = clients.client("ecs"), stack.cluster_name
    return describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=stack.service_name))


def _healthy(clients: Clients, stack: Stack) -> Counter[str]:
    health = target_health(clients.client("elbv2"), target_groups(stack))
    return healthy_by_zone(_tasks(clients, stack), health)

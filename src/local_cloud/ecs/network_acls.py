"""A network ACL that allows nothing cuts off the tasks in its subnets.

What AWS does: each subnet is associated with one network ACL, at first with its VPC's default one. The rules apply to
every packet, so a change also cuts established connections
(https://docs.aws.amazon.com/vpc/latest/userguide/vpc-network-acls.html). A task in a subnet without traffic is what
AWS's fault injection makes of a lost zone
(https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html#disrupt-connectivity).
A task that starts there cannot pull its image or secrets
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html).
Without this patch: the emulator lists no associations, and its ACLs have no effect.

Differences from AWS: only an ACL without a rule that allows anything has an effect, and only on tasks. It is evaluated
when it is associated and when a task starts, not when its rules change. The start fails at once, not after minutes.

A task is cut off inside its own network namespace: routes that reject everything are more specific than its others.
Nothing is changed on the host. The task's image needs ``python3``.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, replaces

logger = logging.getLogger(__name__)

_NO_NETWORK = (
    "unable to retrieve ecr registry auth: service call has been retried 3 time(s): RequestError: send request failed "
    "caused by: i/o timeout"
)
#: Run in a container: ``off`` adds two routes that reject for each route, ``on`` removes those that reject.
#: https://man7.org/linux/man-pages/man7/netdevice.7.html, include/uapi/linux/route.h
SWITCH = """
import fcntl, ipaddress, socket, struct, sys
ADD, DELETE, UP, REJECT = 0x890B, 0x890C, 0x1, 0x200
def address(of):
    return struct.pack("=H2x4s8x", socket.AF_INET, of.packed)
def change(request, network):
    entry = struct.pack("L16s16s16sHhLPhPLLH", 0, address(network.network_address), bytes(16), address(network.netmask),
                        UP | REJECT, 0, 0, 0, 0, 0, 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, request, entry)
def read():
    for line in open("/proc/net/route").read().splitlines()[1:]:
        fields = line.split()
        to, mask = (socket.inet_ntoa(int(fields[index], 16).to_bytes(4, sys.byteorder)) for index in (1, 7))
        yield ipaddress.ip_network(f"{to}/{mask}"), bool(int(fields[3], 16) & REJECT)
routes = list(read())
rejecting = {network for network, rejects in routes if rejects}
if sys.argv[1] == "on":
    for network in rejecting:
        change(DELETE, network)
elif not rejecting:
    for network, _ in routes:
        for half in network.subnets():
            change(ADD, half)
"""


@extends("ec2", "DescribeNetworkAcls")
def describe_network_acls(describe: Handler, params: dict[str, Any]) -> Any:
    _associate_new_subnets()
    return describe(params)


@replaces("ec2", "ReplaceNetworkAclAssociation")
def replace_network_acl_association(params: dict[str, Any]) -> Any:
    ec2 = emulator.service("ec2")
    old, acl = ec2._p(params, "AssociationId"), ec2._network_acls.get(ec2._p(params, "NetworkAclId"))
    if acl is None:
        return ec2._error("InvalidNetworkAclID.NotFound", "The network ACL does not exist", 400)
    for other in ec2._network_acls.values():
        for association in other["Associations"]:
            if association["NetworkAclAssociationId"] == old:
                other["Associations"].remove(association)
                new = _associate(acl, association["SubnetId"])
                _switch_subnet(association["SubnetId"])
                return ec2._xml(
                    200, "ReplaceNetworkAclAssociationResponse", f"<newAssociationId>{new}</newAssociationId>"
                )
    return ec2._error("InvalidAssociationID.NotFound", f"The association ID '{old}' does not exist", 400)


@extends("ecs", "_start_task_worker")
def start_task_worker(start: Handler, task: dict[str, Any], *rest: Any) -> None:
    if _is_closed(task.get("_subnet")):
        raise emulator.service("ecs")._SecretResolutionError(_NO_NETWORK)
    start(task, *rest)


@extends("ecs", "_record_task_ip")
def record_task_ip(record: Handler, task: dict[str, Any], container: Any, network: str) -> None:
    """Cut off a task whose subnet was closed while it started."""
    record(task, container, network)
    if _is_closed(task.get("_subnet")):
        _switch(container, "off")


def _associate_new_subnets() -> None:
    """Associate each subnet that has no ACL with its VPC's default one."""
    ec2 = emulator.service("ec2")
    acls = list(ec2._network_acls.values())
    known = {association["SubnetId"] for acl in acls for association in acl["Associations"]}
    for subnet in list(ec2._subnets.values()):
        default = next((acl for acl in acls if acl["IsDefault"] and acl["VpcId"] == subnet["VpcId"]), None)
        if subnet["SubnetId"] not in known and default is not None:
            _associate(default, subnet["SubnetId"])


def _associate(acl: dict[str, Any], subnet: str) -> str:
    identifier = f"aclassoc-{secrets.token_hex(9)[:17]}"
    acl["Associations"].append({"NetworkAclAssociationId": identifier, "SubnetId": subnet})
    return identifier


def _is_closed(subnet: str | None) -> bool:
    """Return whether the subnet's ACL allows nothing."""
    acls = emulator.service("ec2")._network_acls.values()
    return any(
        association["SubnetId"] == subnet and all(entry["RuleAction"] != "allow" for entry in acl["Entries"])
        for acl in acls
        for association in acl["Associations"]
    )


def _switch_subnet(subnet: str) -> None:
    import docker

    ecs = emulator.service("ecs")
    client, state = ecs._get_docker(), "off" if _is_closed(subnet) else "on"
    for task in list(ecs._tasks.values()):
        if task.get("_subnet") == subnet and client is not None:
            for identifier in list(task.get("_docker_ids") or []):
                with contextlib.suppress(docker.errors.NotFound):
                    _switch(client.containers.get(identifier), state)


def _switch(container: Any, state: str) -> None:
    """Change the routes of a task's container, from a container of its image that shares its network namespace."""
    import docker

    try:
        container.client.containers.run(
            container.attrs["Image"],
            ["-c", SWITCH, state],
            entrypoint=["python3"],
            network_mode=f"container:{container.id}",
            user="0",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN"],
            remove=True,
            labels=emulator.core("container_reaper").own_labels("network-acl"),
        )
    except docker.errors.DockerException as error:  # the task may have ended meanwhile
        logger.warning("container %s is not switched %s: %s", container.short_id, state, error)

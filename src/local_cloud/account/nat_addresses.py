"""A NAT gateway's address is shown as associated.

What AWS does: the address is associated with the NAT gateway as long as the gateway exists
(https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html), and DescribeAddresses shows it.
Without this patch: the emulator shows the address as free, so that a search for unused addresses finds it.
"""

from __future__ import annotations

from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

_PREFIX = "eipassoc-of-"


@extends("ec2", "DescribeAddresses")
def describe_addresses(describe: Handler, request: Any) -> Any:
    ec2 = emulator.service("ec2")
    gateways = {
        nat["AllocationId"]: nat["NatGatewayId"]
        for nat in ec2._nat_gateways.values()
        if nat["State"] in ("pending", "available")
    }
    for address in ec2._addresses.values():
        holder = gateways.get(address["AllocationId"])
        if holder and not address["AssociationId"]:
            address["AssociationId"] = f"{_PREFIX}{holder}"
        elif not holder and (address["AssociationId"] or "").startswith(_PREFIX):
            address["AssociationId"] = None
    return describe(request)

"""src/local_cloud/account/nat_addresses.py."""

from __future__ import annotations

import pytest

from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud


def test_a_nat_gateway_holds_its_address_until_it_is_deleted(cloud: RunningCloud) -> None:
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
    gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=allocation)["NatGateway"]["NatGatewayId"]

    def is_held() -> bool:
        (address,) = ec2.describe_addresses(AllocationIds=[allocation])["Addresses"]
        return "AssociationId" in address

    assert is_held()
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    assert not is_held()
    ec2.release_address(AllocationId=allocation)

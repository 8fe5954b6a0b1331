"""Attributes of VPC resources and services that Terraform reads back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.local_cloud.conftest import RunningCloud
from tests.local_cloud.services import StubService

pytestmark = pytest.mark.local_cloud


def test_flow_logs_keep_their_attributes(cloud: RunningCloud) -> None:
    ec2 = cloud.client("ec2")
    (identifier,) = ec2.create_flow_logs(
        ResourceIds=["vpc-1"],
        ResourceType="VPC",
        TrafficType="REJECT",
        LogDestinationType="cloud-watch-logs",
        LogDestination="arn:aws:logs:ap-northeast-2:000000000000:log-group:flow",
        DeliverLogsPermissionArn="arn:aws:iam::000000000000:role/flow",
        MaxAggregationInterval=60,
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "Name", "Value": "flow"}]}],
    )["FlowLogIds"]
    (found,) = ec2.describe_flow_logs(FlowLogIds=[identifier])["FlowLogs"]
    assert found["DeliverLogsPermissionArn"].endswith(":role/flow")
    assert found["MaxAggregationInterval"] == 60
    assert found["LogFormat"].startswith("${version} ${account-id}")
    assert found["LogGroupName"] == "flow"
    assert found["Tags"] == [{"Key": "Name", "Value": "flow"}]


def test_interface_endpoints_keep_their_attributes(cloud: RunningCloud) -> None:
    ec2 = cloud.client("ec2")
    identifier = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId="vpc-1",
        ServiceName="com.amazonaws.ap-northeast-2.ecr.api",
        PrivateDnsEnabled=True,
        SecurityGroupIds=["sg-1"],
        SubnetIds=["subnet-1"],
    )["VpcEndpoint"]["VpcEndpointId"]
    (found,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[identifier])["VpcEndpoints"]
    assert found["PrivateDnsEnabled"] is True
    assert found["Groups"] == [{"GroupId": "sg-1"}]
    ec2.modify_vpc_endpoint(
        VpcEndpointId=identifier, PrivateDnsEnabled=False, AddSecurityGroupIds=["sg-2"], RemoveSecurityGroupIds=["sg-1"]
    )
    (found,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[identifier])["VpcEndpoints"]
    assert found["PrivateDnsEnabled"] is False
    assert found["Groups"] == [{"GroupId": "sg-2"}]


def test_a_service_keeps_its_attributes(make: Callable[..., StubService]) -> None:
    service = make()
    created = service.create(service.register(), desired=0, propagateTags="SERVICE")
    assert created["availabilityZoneRebalancing"] == "ENABLED"
    service.update(availabilityZoneRebalancing="DISABLED", propagateTags="TASK_DEFINITION")
    found = service.describe()
    assert (found["availabilityZoneRebalancing"], found["propagateTags"]) == ("DISABLED", "TASK_DEFINITION")

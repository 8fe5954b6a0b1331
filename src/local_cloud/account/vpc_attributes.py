"""Flow logs and interface endpoints return every attribute that they were created with.

What AWS does: DescribeFlowLogs returns role, aggregation interval, log format and tags; DescribeVpcEndpoints returns
whether private DNS is on, the policy, and the security groups
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_FlowLog.html,
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_VpcEndpoint.html).
Without this patch: the emulator drops them, so that Terraform plans the same change forever and replaces a flow log on
every apply.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends

DEFAULT_AGGREGATION_SECONDS = "600"
DEFAULT_LOG_FORMAT = (
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} "
    "${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
)


@extends("ec2", "CreateFlowLogs")
def create_flow_logs(create: Handler, params: dict[str, Any]) -> Any:
    ec2 = emulator.service("ec2")
    known = set(ec2._flow_logs)
    answer = create(params)
    for identifier in set(ec2._flow_logs) - known:
        record = ec2._flow_logs[identifier]
        group = ec2._p(params, "LogGroupName")
        record["_attributes"] = {
            "deliverLogsPermissionArn": ec2._p(params, "DeliverLogsPermissionArn"),
            "maxAggregationInterval": ec2._p(params, "MaxAggregationInterval") or DEFAULT_AGGREGATION_SECONDS,
            "logFormat": ec2._p(params, "LogFormat") or DEFAULT_LOG_FORMAT,
            "logGroupName": group or record["LogDestination"].rpartition(":log-group:")[2].removesuffix(":*"),
            "deliverLogsStatus": "SUCCESS",
        }
        # The emulator parses the tags here for another resource type.
        ec2._parse_tag_specs(params, "vpc-flow-log", identifier)
    return answer


@extends("ec2", "_tag_set_xml")
def tag_set_xml(tags_xml: Handler, identifier: str) -> Any:
    ec2 = emulator.service("ec2")
    xml = tags_xml(identifier)
    # The only place where the output of the emulator's DescribeFlowLogs can be extended.
    record = ec2._flow_logs.get(identifier) if identifier.startswith("fl-") else None
    attributes = (record or {}).get("_attributes", {})
    return xml + "".join(f"<{name}>{escape(value)}</{name}>" for name, value in attributes.items() if value)


@extends("ec2", "CreateVpcEndpoint")
def create_vpc_endpoint(create: Handler, params: dict[str, Any]) -> Any:
    ec2 = emulator.service("ec2")
    known = set(ec2._vpc_endpoints)
    create(params)
    (identifier,) = set(ec2._vpc_endpoints) - known
    record = ec2._vpc_endpoints[identifier]
    interface = record["VpcEndpointType"] == "Interface"
    record["PrivateDnsEnabled"] = (ec2._p(params, "PrivateDnsEnabled") or str(interface)).lower() == "true"
    record["SecurityGroupIds"] = ec2._parse_member_list(params, "SecurityGroupId")
    record["PolicyDocument"] = ec2._p(params, "PolicyDocument") or record.get("PolicyDocument", "")
    return ec2._xml(200, "CreateVpcEndpointResponse", ec2._vpce_fields_xml(record, tag="vpcEndpoint"))


@extends("ec2", "ModifyVpcEndpoint")
def modify_vpc_endpoint(modify: Handler, params: dict[str, Any]) -> Any:
    ec2 = emulator.service("ec2")
    answer = modify(params)
    record = ec2._vpc_endpoints.get(ec2._p(params, "VpcEndpointId"))
    if record is not None:
        private_dns = ec2._p(params, "PrivateDnsEnabled")
        if private_dns:
            record["PrivateDnsEnabled"] = private_dns.lower() == "true"
        groups = list(record.get("SecurityGroupIds", []))
        groups += ec2._parse_member_list(params, "AddSecurityGroupId")
        removed = set(ec2._parse_member_list(params, "RemoveSecurityGroupId"))
        record["SecurityGroupIds"] = [group for group in dict.fromkeys(groups) if group not in removed]
    return answer


@extends("ec2", "_vpce_fields_xml")
def vpc_endpoint_xml(endpoint_xml: Handler, record: dict[str, Any], tag: str = "item") -> Any:
    groups = "".join(f"<item><groupId>{group}</groupId></item>" for group in record.get("SecurityGroupIds", []))
    policy = record.get("PolicyDocument", "")
    added = (
        f"<privateDnsEnabled>{str(record.get('PrivateDnsEnabled', False)).lower()}</privateDnsEnabled>"
        f"<groupSet>{groups}</groupSet>" + (f"<policyDocument>{escape(policy)}</policyDocument>" if policy else "")
    )
    xml: str = endpoint_xml(record, tag)
    return xml.removesuffix(f"</{tag}>") + added + f"</{tag}>"

"""What IAM is asked for a recorded call: a line of the local cloud's call log (`src/local_cloud/core/call_log.py`).

One call may be asked for several resources, each of which has to be allowed, and for actions that are never a call of
their own: ``iam:PassRole`` where it hands a role to a service, the tagging of what it makes, what a service does with
its caller's rights. Which types of resources an action has is the Service Authorization Reference's
(`authorization.py`); how a request names them is here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.terraform.authorization import reference
from tests.terraform.policies import Call, overlap

Line = Mapping[str, Any]

#: Allowed whatever a policy says. https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
FREE = {"sts:GetCallerIdentity"}

#: How a request names what is no ARN in it. ``{}`` is the parameter's value.
NAMES = {
    "cloudwatch": {
        "DashboardName": "dashboard/{}",
        "DashboardNames": "dashboard/{}",
        "AlarmName": "alarm:{}",
        "AlarmNames": "alarm:{}",
    },
    "ecs": {
        "cluster": "cluster/{}",
        "clusters": "cluster/{}",
        "clusterName": "cluster/{}",
        "service": "service/{cluster}/{}",
        "services": "service/{cluster}/{}",
        "serviceName": "service/{cluster}/{}",
        "task": "task/{cluster}/{}",
        "tasks": "task/{cluster}/{}",
        "taskDefinition": "task-definition/{}:1",
        "family": "task-definition/{}:1",
    },
    "elasticloadbalancing": {"Name": "{made}/{}/new"},
    "events": {"Name": "rule/{}", "Rule": "rule/{}"},
    "lambda": {"FunctionName": "function:{}"},
    "logs": {"logGroupName": "log-group:{}:*"},
    "rds": {
        "DBInstanceIdentifier": "db:{}",
        "DBInstanceIdentifiers": "db:{}",
        "DBParameterGroupName": "pg:{}",
        "DBProxyName": "target-group:prx-tg-{}",
        "DBSnapshotIdentifier": "snapshot:{}",
        "DBSubnetGroupName": "subgrp:{}",
        "FinalDBSnapshotIdentifier": "snapshot:{}",
    },
    "secretsmanager": {"Name": "secret:{}-AbCdEf"},
}
#: EC2's identifiers say what they are of.
EC2_TYPES = {
    "eipalloc": "elastic-ip",
    "fl": "vpc-flow-log",
    "igw": "internet-gateway",
    "nat": "natgateway",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "subnet": "subnet",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}

#: What a call makes that has no name before. It has no tags yet, but those that the call gives.
MAKES = {
    "acm:RequestCertificate": "certificate/new",
    "application-autoscaling:RegisterScalableTarget": "scalable-target/new",
    "ec2:AllocateAddress": "elastic-ip/new",
    "ec2:AuthorizeSecurityGroupEgress": "security-group-rule/new",
    "ec2:AuthorizeSecurityGroupIngress": "security-group-rule/new",
    "ec2:CreateFlowLogs": "vpc-flow-log/new",
    "ec2:CreateInternetGateway": "internet-gateway/new",
    "ec2:CreateNatGateway": "natgateway/new",
    "ec2:CreateRouteTable": "route-table/new",
    "ec2:CreateSecurityGroup": "security-group/new",
    "ec2:CreateSubnet": "subnet/new",
    "ec2:CreateVpc": "vpc/new",
    "ec2:CreateVpcEndpoint": "vpc-endpoint/new",
    "rds:CreateDBProxy": "db-proxy:new",
}
LOAD_BALANCING = {"CreateLoadBalancer": "loadbalancer/app", "CreateTargetGroup": "targetgroup"}

#: Who tags what a call makes, by service.
TAGS = {
    "acm": "AddTagsToCertificate",
    "dynamodb": "TagResource",
    "ec2": "CreateTags",
    "elasticloadbalancing": "AddTags",
    "iam": "TagRole",
    "rds": "AddTagsToResource",
    "sqs": "TagQueue",
}
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html: which parameters hand a role, to whom.
PASSES = {
    "ec2:CreateFlowLogs": ("vpc-flow-logs", ("DeliverLogsPermissionArn",)),
    "ecs:RegisterTaskDefinition": ("ecs-tasks", ("taskRoleArn", "executionRoleArn")),
    "lambda:CreateFunction": ("lambda", ("Role",)),
    "lambda:UpdateFunctionConfiguration": ("lambda", ("Role",)),
    "rds:CreateDBInstance": ("rds", ("MonitoringRoleArn",)),
    "rds:CreateDBProxy": ("rds", ("RoleArn",)),
    "rds:ModifyDBInstance": ("rds", ("MonitoringRoleArn",)),
    "rds:ModifyDBProxy": ("rds", ("RoleArn",)),
}


class Recording:
    """Lines in their order; what an earlier one said of a role or a definition is known to a later one."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._boundaries: dict[str, str] = {}
        self._roles: dict[str, set[str]] = {}
        self.asked: list[tuple[Line, list[Call]]] = [(line, list(self._asked(line))) for line in lines]

    def _asked(self, line: Line) -> Iterator[Call]:
        action: str = line["action"]
        if action in FREE:
            return
        service, _, operation = action.partition(":")
        given = {f"aws:RequestTag/{key}": value for key, value in line["request_tags"].items()}
        context = given | self._context(action, line)
        made = list(_made(action, line))
        for resource in [*_named(action, line), *made] or ["*"]:
            yield Call(action, resource, context | _tags(line, resource))
        if given and not operation.startswith(("Tag", "AddTags", "CreateTags")):
            tagging = f"{service}:{TAGS.get(service, 'TagResource')}"
            for resource in made or list(_named(action, line)) or ["*"]:
                created = {f"{service}:CreateAction": operation}
                yield Call(tagging, _listener(action, resource), given | created | _tags(line, resource))
        yield from self._passed(action, line)
        if service == "application-autoscaling":
            yield from _scaling(operation, line)
        if action == "rds:CreateDBInstance" and "true" in line["parameters"].get("ManageMasterUserPassword", []):
            yield from _master_secret(line)
        if action == "ec2:CreateVpcEndpoint" and "true" in line["parameters"].get("PrivateDnsEnabled", []):
            yield Call("route53:AssociateVPCWithHostedZone", "arn:aws:route53:::hostedzone/ZOFAWS")

    def _context(self, action: str, line: Line) -> dict[str, str]:
        parameters, context = line["parameters"], {}
        if action.startswith("ecs:") and (cluster := parameters.get("cluster")):
            context["ecs:cluster"] = _arn(line, "ecs", f"cluster/{_last(cluster[0])}")
        if action.startswith("iam:") and (role := parameters.get("RoleName")):
            if boundary := parameters.get("PermissionsBoundary"):
                self._boundaries[role[0]] = boundary[0]
            if role[0] in self._boundaries:
                context["iam:PermissionsBoundary"] = self._boundaries[role[0]]
        return context

    def _passed(self, action: str, line: Line) -> Iterator[Call]:
        service, names = PASSES.get(action, ("", ()))
        roles = {role for name in names for role in line["parameters"].get(name, [])}
        if action == "ecs:RegisterTaskDefinition":
            self._roles[line["parameters"]["family"][0]] = roles
        if action == "ecs:RunTask":  # hands the definition's
            family = _last(line["parameters"]["taskDefinition"][0]).partition(":")[0]
            service, roles = "ecs-tasks", self._roles.get(family, set())
        for role in sorted(roles):
            yield Call("iam:PassRole", role, {"iam:PassedToService": f"{service}.amazonaws.com"})


def read(file: Path) -> list[Line]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _named(action: str, line: Line) -> Iterator[str]:
    """The resources that a request names, of the types that the action is tied to."""
    patterns = reference().patterns(action)
    found = dict.fromkeys(arn for arn in _candidates(action, line) if any(overlap(type_, arn) for type_ in patterns))
    return iter(found if patterns != ("*",) else ())


def _candidates(action: str, line: Line) -> Iterator[str]:
    service, _, operation = action.partition(":")
    parameters: Mapping[str, list[str]] = line["parameters"]
    cluster = _last(parameters.get("cluster", ["default"])[0])
    if line["resource"] != "*":
        yield line["resource"]
    for name, values in parameters.items():
        form = NAMES.get(service, {}).get(name, "")
        for value in values:
            if value.startswith("arn:"):
                yield value
            elif service == "ec2" and (kind := EC2_TYPES.get(value.partition("-")[0])):
                yield _arn(line, service, f"{kind}/{value}")
            elif form:
                made = LOAD_BALANCING.get(operation, "")
                text = form.replace("{cluster}", cluster).replace("{made}", made).replace("{}", value)
                yield _arn(line, service, text)
    if action == "ecs:ListTasks":
        yield _arn(line, service, f"container-instance/{cluster}/*")
    if action == "logs:GetLogEvents":
        group, stream = parameters["logGroupName"][0], parameters["logStreamName"][0]
        yield _arn(line, service, f"log-group:{group}:log-stream:{stream}")


def _made(action: str, line: Line) -> Iterator[str]:
    kind = MAKES.get(action, "").removesuffix("new")
    if kind and not any(kind in arn for arn in _named(action, line)):
        yield _arn(line, action.partition(":")[0], MAKES[action])


def _listener(action: str, resource: str) -> str:
    """A listener is made in a load balancer, and is what is tagged."""
    return resource.replace(":loadbalancer/", ":listener/") + "/new" if action.endswith(":CreateListener") else resource


def _scaling(operation: str, line: Line) -> Iterator[Call]:
    """Application Auto Scaling tries whether its caller could do itself what it is told to do.

    https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_permission_validation.html
    """
    for name in line["parameters"].get("ResourceId", []):
        alarm = _arn(line, "cloudwatch", f"alarm:TargetTracking-{name}-AlarmHigh-1")
        match operation:
            case "RegisterScalableTarget":
                yield Call("ecs:DescribeServices", _arn(line, "ecs", name))
                yield Call("ecs:UpdateService", _arn(line, "ecs", name))
            case "PutScalingPolicy" | "DeleteScalingPolicy":
                yield Call("cloudwatch:DescribeAlarms", alarm)
                yield Call("cloudwatch:PutMetricAlarm", alarm)
                yield Call("cloudwatch:DeleteAlarms", alarm)


def _master_secret(line: Line) -> Iterator[Call]:
    """On behalf of who makes it. https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html"""
    secret = _arn(line, "secretsmanager", "secret:rds!db-1-AbCdEf")
    yield Call("kms:DescribeKey", _arn(line, "kms", "key/aws-secretsmanager"))
    yield Call("secretsmanager:CreateSecret", secret)
    yield Call("secretsmanager:TagResource", secret)


def _tags(line: Line, resource: str) -> dict[str, str]:
    found = line["tags"].get(resource) or line["tags"].get(_last(resource)) or {}
    return {f"aws:ResourceTag/{key}": value for key, value in found.items()}


def _arn(line: Line, service: str, rest: str) -> str:
    region, account = line["region"], line["account"]
    if service == "cloudwatch" and rest.startswith("dashboard/"):
        region = ""
    return f"arn:aws:{service}:{region}:{account}:{rest}"


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]

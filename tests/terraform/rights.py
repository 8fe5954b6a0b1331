"""Whether a role's rights are what its workflow calls: nothing missing, and nothing more but what is named here.

The calls are those of the local cloud's log, whose runs took the roles that bootstrap made; of an account, CloudTrail
has them. See `tests/e2e/test_workflows.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.terraform.authorization import reference
from tests.terraform.calls import Line, Recording
from tests.terraform.policies import Call, Identity, Policy, listed, matches, overlap

_FAILS = "where a release fails, or one is in flight"
_FULL = "where the database has no connection left for the new tasks"
_CHANGES = "a later change of what exists"
_LESS = "a setting that is turned off, or has one less"
_HTTPS = "https_domain_name and https_hosted_zone_id"
_PROXY = "rds_proxy_enabled"
_ENDPOINTS = "vpc_endpoints_enabled"
_FLOW_LOGS = "network_flow_logs"
_ACCESS_LOGS = "alb_access_logs"
_STRATEGY = "a release_strategy other than rolling"

#: What a workflow may do and no run in the local cloud does: the action, and when it is called.
_READS = {
    "acm:*": _HTTPS,
    "ec2:DescribeFlowLogs": _FLOW_LOGS,
    "ecs:ListTagsForResource": "the provider's other way to the tags of a service",
    "rds:DescribeDBProx*": _PROXY,
    "route53:GetHostedZone": _HTTPS,
    "route53:ListResourceRecordSets": _HTTPS,
    "s3:GetAccelerateConfiguration": _ACCESS_LOGS,
    "s3:GetBucket*": _ACCESS_LOGS,
    "s3:GetEncryptionConfiguration": _ACCESS_LOGS,
    "s3:GetLifecycleConfiguration": _ACCESS_LOGS,
    "s3:GetReplicationConfiguration": _ACCESS_LOGS,
}
_RELEASES = {
    "application-autoscaling:RegisterScalableTarget": "limits that are another time's",
    "ecs:ContinueServiceDeployment": _STRATEGY,
    "ecs:DescribeServiceDeployments": _STRATEGY,
    "ecs:DescribeServiceRevisions": _FAILS,
    "ecs:ListServiceDeployments": _FAILS,
    "ecs:StopServiceDeployment": _FAILS,
    "logs:GetLogEvents": _FAILS,
    "s3:DeleteObject": "Terraform's lock, left by a run that was killed",
}
UNUSED: Mapping[str, Mapping[str, str]] = {
    "build": {
        "ecr:BatchGetImage": "an image store that asks for a manifest before it pushes it; a second build",
        "ecr:GetDownloadUrlForLayer": "a second build: the labels of an image that is there",
    },
    "plan": _READS | {"s3:ListBucketVersions": "a plan before the first deployment"},
    "rollback": _RELEASES
    | {
        "elasticloadbalancing:DescribeRules": _STRATEGY,
        "ecs:RegisterTaskDefinition": "a target whose revision is pruned",
        "ecs:RunTask": _FULL,
        "ecs:StopTask": _FULL,
        "ecs:TagResource": "a target whose revision is pruned",
        "iam:PassRole": "a target whose revision is pruned",
    },
    "deploy": _READS
    | _RELEASES
    | {
        "application-autoscaling:DeleteS*": _LESS,
        "application-autoscaling:UntagResource": _CHANGES,
        "cloudwatch:DeleteDashboards": _LESS,
        "cloudwatch:UntagResource": _CHANGES,
        "dynamodb:DeleteTable": _LESS,
        "dynamodb:UntagResource": _CHANGES,
        "dynamodb:UpdateTable": _CHANGES,
        "ec2:*FlowLogs": _FLOW_LOGS,
        "ec2:DeleteNatGateway": _LESS,
        "ec2:DeleteRoute*": _LESS,
        "ec2:DeleteS*": _LESS,
        "ec2:DeleteTags": _CHANGES,
        "ec2:DeleteVpcEndpoints": _ENDPOINTS,
        "ec2:DescribeNetworkInterfaces": _LESS,
        "ec2:DisassociateAddress": _LESS,
        "ec2:DisassociateRouteTable": _LESS,
        "ec2:ModifySecurityGroupRules": _CHANGES,
        "ec2:ModifySubnetAttribute": _CHANGES,
        "ec2:ModifyVpcEndpoint": _ENDPOINTS,
        "ec2:ReleaseAddress": _LESS,
        "ec2:ReplaceRoute": _CHANGES,
        "ec2:RevokeSecurityGroupIngress": _LESS,
        "ecr:DescribeImageScanFindings": "image_findings_gate, which production sets",
        "ecs:DeregisterTaskDefinition": "the eleventh release: the oldest revision goes",
        "ecs:PutClusterCapacityProviders": _CHANGES,
        "ecs:StopTask": "an admin task that does not end",
        "ecs:UntagResource": _CHANGES,
        "ecs:UpdateCluster": _CHANGES,
        "elasticloadbalancing:DeleteListener": _HTTPS,
        "elasticloadbalancing:DeleteRule": _HTTPS,
        "elasticloadbalancing:DeleteTargetGroup": _CHANGES,
        "elasticloadbalancing:ModifyListener*": _CHANGES,
        "elasticloadbalancing:ModifyRule": _CHANGES,
        "elasticloadbalancing:ModifyTargetGroup": _CHANGES,
        "elasticloadbalancing:RemoveTags": _CHANGES,
        "elasticloadbalancing:SetS*": _CHANGES,
        "events:DeleteRule": _LESS,
        "events:RemoveTargets": _LESS,
        "events:UntagResource": _CHANGES,
        "iam:DeleteRole*": _LESS,
        "iam:ListInstanceProfilesForRole": _LESS,
        "iam:PutRolePermissionsBoundary": "a role that was made before github_repository was set",
        "iam:UntagRole": _CHANGES,
        "iam:UpdateAssumeRolePolicy": _CHANGES,
        "iam:UpdateRole": _CHANGES,
        "inspector2:List*": "ECR reads the findings of enhanced scanning with the caller's rights",
        "lambda:DeleteFunction*": _LESS,
        "lambda:RemovePermission": _LESS,
        "lambda:UntagResource": _CHANGES,
        "lambda:UpdateFunction*": _CHANGES,
        "logs:Delete*": _LESS,
        "logs:UntagResource": _CHANGES,
        "rds:*DBProxy*": _PROXY,
        "rds:DeleteDB*": _CHANGES,
        "rds:ModifyDBInstance": _CHANGES,
        "rds:ModifyDBSubnetGroup": _CHANGES,
        "rds:RebootDBInstance": _CHANGES,
        "rds:RemoveTagsFromResource": _CHANGES,
        "rds:ResetDBParameterGroup": _CHANGES,
        "rds:RestoreDBInstance*": "database_restores",
        "route53:AssociateVPCWithHostedZone": _ENDPOINTS,
        "route53:GetChange": _HTTPS,
        "s3:CreateBucket": _ACCESS_LOGS,
        "s3:PutBucket*": _ACCESS_LOGS,
        "s3:PutEncryptionConfiguration": _ACCESS_LOGS,
        "s3:PutLifecycleConfiguration": _ACCESS_LOGS,
        "secretsmanager:DeleteSecret": _LESS,
        "secretsmanager:RestoreSecret": "an environment that was destroyed and comes back",
        "secretsmanager:UntagResource": _CHANGES,
        "secretsmanager:UpdateSecret": _CHANGES,
        "sns:DeleteTopic": _LESS,
        "sns:SetSubscriptionAttributes": _CHANGES,
        "sns:Unsubscribe": "an address less in notification_emails",
        "sns:UntagResource": _CHANGES,
        "sqs:DeleteQueue": _LESS,
        "sqs:SetQueueAttributes": _CHANGES,
        "sqs:UntagQueue": _CHANGES,
    },
}


def assert_rights(lines: Iterable[Line], identities: Mapping[str, Identity]) -> None:
    """Compare the runs of a log with the rights of the roles that they took.

    `identities` has each role by its name, ``<app>-github-<workflow>[-<environment>]``. Lines of others are left out.
    """
    asked: dict[str, list[Call]] = {name: [] for name in identities}
    taken = [line for line in lines if role_of(line) in asked]
    for line, calls in Recording(taken).asked:
        asked[str(role_of(line))] += calls
    wrong = {
        name: found
        for name, identity in identities.items()
        if any((found := compare(identity, asked[name], UNUSED[workflow_of(name)])).values())
    }
    assert not wrong, json.dumps(wrong, indent=1)


def compare(identity: Identity, calls: Iterable[Call], known: Mapping[str, str]) -> dict[str, list[str]]:
    """What is wrong with a role's rights, in four lists."""
    calls = list(calls)
    return {
        "never took part": [] if calls else ["no call of this role is in the log"],
        "called and not allowed": missing(identity, calls),
        "allowed, not called and not in UNUSED": unused(identity, calls, known),
        "in UNUSED and not allowed": unneeded(identity, known),
    }


def role_of(line: Line) -> str | None:
    """The name of the role whose session called."""
    principal = line["principal"] or ""
    return principal.split("/")[1] if ":assumed-role/" in principal else None


def workflow_of(role: str) -> str:
    return role.partition("-github-")[2].partition("-")[0]


def identity_of(iam: Any, role: str) -> Identity:
    """A role as IAM has it, its managed policies and its boundary; `iam` is boto3's client."""
    found = iam.get_role(RoleName=role)["Role"]

    def document(arn: str) -> Policy:
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        policy: Policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        return policy

    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return Identity(
        trust=found["AssumeRolePolicyDocument"],
        policies=[document(policy["PolicyArn"]) for policy in attached],
        boundary=document(boundary) if boundary else None,
    )


def missing(identity: Identity, calls: Iterable[Call]) -> list[str]:
    """The calls that the role's policies and boundary do not allow."""
    denied = {f"{call.action} on {call.resource} {dict(call.context)}" for call in calls if not identity.allows(call)}
    return sorted(denied)


def unused(identity: Identity, calls: Iterable[Call], known: Mapping[str, str]) -> list[str]:
    """The actions that the role's policies allow, and that are neither called nor named in `known` (patterns)."""
    called = {call.action.lower() for call in calls}
    return sorted(
        action
        for action in granted(identity.policies)
        if action.lower() not in called and not any(matches(pattern, action) for pattern in known)
    )


def unneeded(identity: Identity, known: Mapping[str, str]) -> list[str]:
    """The names in `known` that the role does not have."""
    has = granted(identity.policies)
    return [pattern for pattern in known if not any(matches(pattern, action) for action in has)]


def granted(policies: Iterable[Policy]) -> set[str]:
    """Every action that some statement allows on a resource that the action has."""
    return {
        action
        for policy in policies
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for pattern in listed(statement["Action"])
        for action in _named(pattern)
        if any(
            _tied(pattern, other) for pattern in reference().patterns(action) for other in listed(statement["Resource"])
        )
    }


def pointless(policies: Iterable[Policy]) -> list[str]:
    """Actions that allow nothing where they stand: AWS has none of the name, or ties it to other resources."""
    return [
        f"{statement.get('Sid')}: {pattern}"
        for policy in policies
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for pattern in listed(statement["Action"])
        if not granted([{"Statement": [{**statement, "Action": pattern}]}])
    ]


def _tied(pattern: str, resource: str) -> bool:
    """An action that is tied to no resource takes a statement about all."""
    return resource == "*" if pattern == "*" else overlap(pattern, resource)


def _named(pattern: str) -> Iterator[str]:
    return (action for action in reference().actions if matches(pattern, action))

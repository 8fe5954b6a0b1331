"""What IAM is asked for a recorded call, and whether a role's rights are what its calls ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.terraform.authorization import PACKAGE, SERVICES, STORED, reference
from tests.terraform.calls import MAKES, PASSES, TAGS, Recording
from tests.terraform.policies import Call, Identity, overlap
from tests.terraform.rights import assert_rights, granted, missing, pointless, unneeded, unused

HERE = "ap-northeast-2:123456789012"
ROLE = "arn:aws:iam::123456789012:role"
CLUSTER = f"arn:aws:ecs:{HERE}:cluster/one"


def line(action: str, resource: str = "*", **parts: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"parameters": {}, "request_tags": {}, "tags": {}}
    here = {"key": "key", "principal": None, "region": "ap-northeast-2", "account": "123456789012"}
    return {**here, "action": action, "resource": resource, **empty, **parts}


def asked(*lines: dict[str, Any]) -> list[Call]:
    return [call for _, calls in Recording(lines).asked for call in calls]


def test_a_call_is_asked_for_each_resource_that_it_names() -> None:
    found = asked(
        line(
            "ec2:AssociateRouteTable",
            f"arn:aws:ec2:{HERE}:subnet/subnet-1",
            parameters={"RouteTableId": ["rtb-1"], "SubnetId": ["subnet-1"]},
            tags={"rtb-1": {"Environment": "staging"}},
        )
    )
    assert found == [
        Call("ec2:AssociateRouteTable", f"arn:aws:ec2:{HERE}:subnet/subnet-1"),
        Call(
            "ec2:AssociateRouteTable",
            f"arn:aws:ec2:{HERE}:route-table/rtb-1",
            {"aws:ResourceTag/Environment": "staging"},
        ),
    ]


def test_what_is_made_is_a_resource_too_and_is_tagged_by_the_same_call() -> None:
    made = line("ec2:CreateSubnet", parameters={"VpcId": ["vpc-1"]}, request_tags={"Environment": "staging"})
    tag = {"aws:RequestTag/Environment": "staging"}
    assert asked(made) == [
        Call("ec2:CreateSubnet", f"arn:aws:ec2:{HERE}:vpc/vpc-1", tag),
        Call("ec2:CreateSubnet", f"arn:aws:ec2:{HERE}:subnet/new", tag),
        Call("ec2:CreateTags", f"arn:aws:ec2:{HERE}:subnet/new", {**tag, "ec2:CreateAction": "CreateSubnet"}),
    ]


def test_a_listener_is_made_in_a_load_balancer_and_is_what_is_tagged() -> None:
    balancer = f"arn:aws:elasticloadbalancing:{HERE}:loadbalancer/app/one/1"
    calls = asked(
        line("elasticloadbalancing:CreateListener", balancer, request_tags={"Environment": "staging"}),
    )
    assert [(call.action, call.resource) for call in calls] == [
        ("elasticloadbalancing:CreateListener", balancer),
        ("elasticloadbalancing:AddTags", f"arn:aws:elasticloadbalancing:{HERE}:listener/app/one/1/new"),
    ]


@pytest.mark.parametrize(
    ("recorded", "resource"),
    [
        (line("ecs:UpdateService", CLUSTER, parameters={"cluster": ["one"], "service": ["api"]}), "service/one/api"),
        (line("ecs:DescribeTasks", CLUSTER, parameters={"cluster": [CLUSTER], "tasks": ["1"]}), "task/one/1"),
        (line("ecs:ListTasks", CLUSTER, parameters={"cluster": ["one"]}), "container-instance/one/*"),
        (line("ecs:CreateCluster", parameters={"clusterName": ["one"]}), "cluster/one"),
    ],
)
def test_ecs_names_its_resources_in_a_cluster(recorded: dict[str, Any], resource: str) -> None:
    (call,) = asked(recorded)
    assert call.resource == f"arn:aws:ecs:{HERE}:{resource}"
    if "cluster" in recorded["parameters"]:
        assert call.context == {"ecs:cluster": CLUSTER}


def test_an_action_that_aws_ties_to_nothing_is_asked_for_everything() -> None:
    assert asked(line("ecs:DeregisterTaskDefinition", parameters={"taskDefinition": ["one:1"]}))[0].resource == "*"


def test_a_definition_hands_its_roles_to_its_tasks_and_so_does_who_runs_one() -> None:
    register = line(
        "ecs:RegisterTaskDefinition",
        parameters={"family": ["one"], "taskRoleArn": [f"{ROLE}/task"], "executionRoleArn": [f"{ROLE}/execution"]},
    )
    run = line(
        "ecs:RunTask",
        parameters={"cluster": ["one"], "taskDefinition": [f"arn:aws:ecs:{HERE}:task-definition/one:7"]},
    )
    handed = [
        Call("iam:PassRole", f"{ROLE}/{name}", {"iam:PassedToService": "ecs-tasks.amazonaws.com"})
        for name in ("execution", "task")
    ]
    passed = [call for call in asked(register, run) if call.action == "iam:PassRole"]
    assert passed == handed + handed


def test_a_roles_boundary_is_known_to_the_calls_after_it() -> None:
    make = line("iam:CreateRole", parameters={"RoleName": ["one"], "PermissionsBoundary": ["arn:boundary"]})
    write = line("iam:PutRolePolicy", parameters={"RoleName": ["one"], "PolicyName": ["p"]})
    assert asked(make, write)[-1].context == {"iam:PermissionsBoundary": "arn:boundary"}
    assert asked(write)[-1].context == {}


def test_a_managed_master_password_makes_a_secret_on_the_callers_behalf() -> None:
    named = {"DBInstanceIdentifier": ["one"], "ManageMasterUserPassword": ["true"]}
    actions = {call.action for call in asked(line("rds:CreateDBInstance", parameters=named))}
    assert actions >= {"secretsmanager:CreateSecret", "secretsmanager:TagResource", "kms:DescribeKey"}
    without = line("rds:CreateDBInstance", parameters={"DBInstanceIdentifier": ["one"]})
    assert {call.action for call in asked(without)} == {"rds:CreateDBInstance"}


def test_scaling_is_told_by_who_could_do_it() -> None:
    target = {"ResourceId": ["service/one/api"], "ServiceNamespace": ["ecs"]}
    calls = asked(line("application-autoscaling:RegisterScalableTarget", parameters=target))
    assert Call("ecs:UpdateService", f"arn:aws:ecs:{HERE}:service/one/api") in calls
    calls = asked(line("application-autoscaling:PutScalingPolicy", parameters=target))
    alarm = f"arn:aws:cloudwatch:{HERE}:alarm:TargetTracking-service/one/api-AlarmHigh-1"
    assert Call("cloudwatch:PutMetricAlarm", alarm) in calls


def test_who_one_is_may_always_be_asked() -> None:
    assert asked(line("sts:GetCallerIdentity")) == []


def test_what_is_kept_of_the_reference_is_the_package_that_is_named() -> None:
    assert json.loads(STORED.read_text(encoding="utf-8"))["source"] == PACKAGE
    assert {action.partition(":")[0] for action in reference().actions} == set(SERVICES)
    assert reference().patterns("ecs:RunTask") == ("arn:*:ecs:*:*:task-definition/*:*",)
    assert reference().patterns("ecs:DeregisterTaskDefinition") == ("*",)


def test_the_tables_name_actions_that_exist() -> None:
    known = reference().actions
    assert {action for action in [*MAKES, *PASSES] if action not in known} == set()
    assert {f"{service}:{action}" for service, action in TAGS.items()} <= set(known)
    for action, name in MAKES.items():
        arn = f"arn:aws:{action.partition(':')[0]}:{HERE}:{name}"
        assert any(overlap(pattern, arn) for pattern in reference().patterns(action)), action


# -- the comparison --------------------------------------------------------------------------------------------------


def identity(*statements: dict[str, Any], boundary: dict[str, Any] | None = None) -> Identity:
    return Identity(trust={"Statement": []}, policies=[{"Statement": list(statements)}], boundary=boundary)


def allow(action: str | list[str], resource: str | list[str] = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


RUN = Call("ecs:RunTask", f"arn:aws:ecs:{HERE}:task-definition/one:1")


def test_missing_is_what_the_policies_or_the_boundary_do_not_allow() -> None:
    assert missing(identity(allow("ecs:RunTask")), [RUN]) == []
    (said,) = missing(identity(allow("ecs:RunTask", "arn:aws:ecs:*:*:task-definition/two:*")), [RUN, RUN])
    assert said.startswith("ecs:RunTask on arn:aws:ecs")
    assert missing(identity(allow("ecs:RunTask"), boundary={"Statement": [allow("s3:GetObject")]}), [RUN])


def test_unused_is_what_is_allowed_and_neither_called_nor_named() -> None:
    role = identity(allow(["ecs:RunTask", "ecs:StopTask", "sns:Publish"]))
    assert unused(role, [RUN], {}) == ["ecs:StopTask", "sns:Publish"]
    assert unused(role, [RUN], {"ecs:Stop*": "in an incident"}) == ["sns:Publish"]


def test_a_name_of_what_is_not_granted_is_not_needed() -> None:
    known = {"ecs:Stop*": "in an incident", "sns:Publish": "no longer"}
    assert unneeded(identity(allow(["ecs:RunTask", "ecs:StopTask"])), known) == ["sns:Publish"]


def test_a_wildcard_grants_only_what_has_such_resources() -> None:
    rights = granted([{"Statement": [allow("rds:CreateDB*", [f"arn:aws:rds:{HERE}:pg:one-*"])]}])
    assert "rds:CreateDBParameterGroup" in rights
    assert "rds:CreateDBSubnetGroup" not in rights


def test_a_right_that_cannot_be_is_pointless() -> None:
    statement = allow(["ecs:RunTask", "ecs:RunTsk", "ec2:DescribeVpcs"], f"arn:aws:ecs:{HERE}:task-definition/*")
    assert pointless([{"Statement": [statement]}]) == ["None: ecs:RunTsk", "None: ec2:DescribeVpcs"]


def test_each_role_is_compared_with_its_own_runs() -> None:
    def run(role: str, action: str) -> dict[str, Any]:
        session = f"arn:aws:sts::123456789012:assumed-role/{role}/run"
        return line(action, parameters={"repositoryName": ["one"]}, principal=session)

    pushes = ["ecr:PutImage", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    build = {"one-github-build": identity(allow(pushes))}
    others = [run("elsewhere", "s3:DeleteBucket"), line("s3:DeleteBucket")]
    assert_rights([run("one-github-build", "ecr:PutImage"), *others], build)
    with pytest.raises(AssertionError, match="ecr:DescribeImages on"):
        assert_rights([run("one-github-build", action) for action in ("ecr:PutImage", "ecr:DescribeImages")], build)
    with pytest.raises(AssertionError, match="no call of this role"):
        assert_rights(others, build)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("arn:*:ecs:*:*:task/*", "arn:aws:ecs:r:a:task/one/*", True),
        ("arn:*:ecs:*:*:task/*", "arn:aws:ecs:r:a:service/one", False),
        ("*", "", True),
        ("a*c", "ab*", True),
        ("a*c", "ab", False),
    ],
)
def test_two_patterns_overlap_where_some_text_is_matched_by_both(one: str, other: str, both: bool) -> None:
    assert overlap(one, other) == overlap(other, one) == both

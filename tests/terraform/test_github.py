"""The rights of GitHub's workflows, as Terraform renders them, against tables of calls: who takes a role, and for what.

That the tables see anything is shown by dropping each condition, and each Deny, in turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.terraform.policies import Call, Identity
from tests.terraform.rights import UNUSED, pointless, unneeded
from tests.terraform.terraform import SOURCE, plans_of_tests

ACCOUNT, HERE = "123456789012", "ap-northeast-2:123456789012"
ISSUER = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"
NAMES, IDS = "example/storefront", "example@123456/storefront@456789"
BUCKET = f"arn:aws:s3:::storefront-terraform-{ACCOUNT}-ap-northeast-2"
SECRETS = f"arn:aws:secretsmanager:{HERE}:secret"
ROLES = f"arn:aws:iam::{ACCOUNT}:role"

Identities = dict[str, Identity]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identities]:
    """The roles of each run of the module's tests, by the key that the module gives them."""
    plans = plans_of_tests(tmp_path_factory.mktemp("terraform"), "modules/github")
    return {run: identities(plan) for run, plan in plans.items()}


def identities(plan: dict[str, Any]) -> Identities:
    planned: dict[tuple[str, str], dict[str, Any]] = {}
    for item in plan["resource_changes"]:
        planned[(f"{item['type']}.{item['name']}", str(item.get("index", "")))] = item["change"]["after"]

    def policy(name: str, key: str) -> dict[str, Any]:
        return dict(json.loads(planned[(f"aws_iam_policy.{name}", key)]["policy"]))

    found: Identities = {}
    for (kind, role), after in planned.items():
        if kind == "aws_iam_policy.workload_boundary":  # nobody takes it: what a deployment's roles may do at most
            found[f"ceiling-{role}"] = Identity(trust={"Statement": []}, policies=[policy("workload_boundary", role)])
        if kind != "aws_iam_role.this":
            continue
        # The attachment's ARN is not known before the policy is there: its key says which it is.
        attached = [
            policy("this", key)
            for other, key in planned
            if other == "aws_iam_role_policy_attachment.this" and key.startswith(f"{role}/")
        ]
        environment = role.removeprefix("deploy-")
        ceiling = policy("deploy_boundary", environment) if environment != role else None
        found[role] = Identity(trust=json.loads(after["assume_role_policy"]), policies=attached, boundary=ceiling)
    return found


@pytest.fixture(scope="module")
def runs(rendered: dict[str, Identities]) -> dict[str, Identities]:
    """The roles alone."""
    return {
        run: {key: identity for key, identity in found.items() if not key.startswith("ceiling-")}
        for run, found in rendered.items()
    }


@pytest.fixture(scope="module")
def roles(runs: dict[str, Identities]) -> Identities:
    return runs["both_environments"]


@pytest.fixture(scope="module")
def ceilings(rendered: dict[str, Identities]) -> Identities:
    """By environment."""
    found = rendered["both_environments"]
    return {key.removeprefix("ceiling-"): found[key] for key in found if key.startswith("ceiling-")}


# -- who takes a role ------------------------------------------------------------------------------------------------


def token(sub: str | None, aud: str | None = "sts.amazonaws.com") -> Call:
    claims = {f"{ISSUER}:sub": sub, f"{ISSUER}:aud": aud}
    context = {key: value for key, value in claims.items() if value is not None}
    return Call("sts:AssumeRoleWithWebIdentity", context=context, principal=PROVIDER)


SUBJECTS = {
    "build": ["ref:refs/heads/main"],
    "cost": ["environment:cost"],
    "plan-staging": ["environment:plan-staging", "pull_request"],
    "plan-production": ["environment:plan-production"],
    "deploy-staging": ["environment:staging"],
    "deploy-production": ["environment:production"],
    "rollback-staging": ["environment:rollback-staging"],
    "rollback-production": ["environment:rollback-production"],
}
CONTEXTS = sorted(
    {context for contexts in SUBJECTS.values() for context in contexts}
    | {
        "ref:refs/heads/other",
        "ref:refs/heads/main-2",
        "ref:refs/tags/main",
        "environment:Production",
        "environment:",
        "*",
    }
)
#: Not this repository: another, another owner's, a later owner of the name, a prefix or a wildcard.
OTHERS = [
    "example/other",
    "mallory/storefront",
    "example@999/storefront@456789",
    "example@123456/storefront@999",
    "example@123456/storefront",
    "example/storefront-two",
    "example/*",
    "EXAMPLE/storefront",
]


def wrong_trust(found: Identities, trusted: list[str]) -> list[str]:
    """Every token whose answer is not the one of the tables."""
    wrong = []
    for role, identity in found.items():
        for repository in [NAMES, IDS, *OTHERS]:
            for context in CONTEXTS:
                sub = f"repo:{repository}:{context}"
                if identity.trusts(token(sub)) != (repository in trusted and context in SUBJECTS[role]):
                    wrong.append(f"{role}: {sub}")
        good = f"repo:{trusted[0]}:{SUBJECTS[role][0]}"
        refused = {
            "no sub": token(None),
            "no aud": token(good, aud=None),
            "no claim": token(None, aud=None),
            "another audience": token(good, aud="https://github.com/example"),
            "another provider": replace(token(good), principal=PROVIDER + ".example.com"),
            "by a key": replace(token(good), action="sts:AssumeRole"),
        }
        wrong += [f"{role}: {what}" for what, call in refused.items() if identity.trusts(call)]
    return wrong


@pytest.mark.parametrize(
    ("run", "trusted"), [("both_environments", [IDS]), ("names_only", [NAMES]), ("between_the_forms", [IDS, NAMES])]
)
def test_a_role_is_taken_by_its_workflow_alone(runs: dict[str, Identities], run: str, trusted: list[str]) -> None:
    assert set(runs[run]) == set(SUBJECTS)
    assert wrong_trust(runs[run], trusted) == []


def test_without_the_main_environment_no_pull_request_is_trusted(runs: dict[str, Identities]) -> None:
    found = runs["an_account_of_production_alone"]
    assert not any(identity.trusts(token(f"repo:{IDS}:pull_request")) for identity in found.values())


def test_the_subjects_are_those_of_the_workflows() -> None:
    """The environment that a job names is what its token says; the variable that it reads is what bootstrap sets."""
    folder = Path(".github/workflows")
    jobs = {
        (path.stem, name): job
        for path in folder.glob("*.yml")
        for name, job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items()
        if "AWS_" in json.dumps(job)
    }
    said = {key: (job.get("environment"), re.findall(r"vars\.(AWS_\w+)", json.dumps(job))) for key, job in jobs.items()}
    assert said == {
        ("build", "build"): (None, ["AWS_BUILD_ROLE"]),
        ("ci", "plan"): (None, ["AWS_PLAN_ROLE"]),
        ("cost", "report"): ("cost", ["AWS_COST_ROLE"]),
        ("deploy", "plan-production"): ("plan-production", ["AWS_PLAN_ROLE"]),
        ("deploy-environment", "deploy"): ("${{ inputs.environment }}", ["AWS_DEPLOY_ROLE"]),
        ("drift", "drift"): ("plan-${{ matrix.environment }}", ["AWS_PLAN_ROLE"]),
        ("rollback", "rollback"): ("rollback-${{ inputs.environment }}", ["AWS_ROLLBACK_ROLE"]),
    }


# -- what a role may do ----------------------------------------------------------------------------------------------


def tags(environment: str) -> dict[str, str]:
    return {"aws:ResourceTag/Application": "storefront", "aws:ResourceTag/Environment": environment}


def asks(environment: str) -> dict[str, str]:
    """Tags that a call would give."""
    return {"aws:RequestTag/Application": "storefront", "aws:RequestTag/Environment": environment}


def boundary(environment: str) -> dict[str, str]:
    return {"iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/storefront-github-boundary-{environment}"}


def to(service: str) -> dict[str, str]:
    return {"iam:PassedToService": f"{service}.amazonaws.com"}


def in_cluster(environment: str) -> dict[str, str]:
    return {"ecs:cluster": f"arn:aws:ecs:{HERE}:cluster/storefront-{environment}"}


def releases(name: str) -> list[Call]:
    """What a rollback of an environment calls, and a release too."""
    prefix = f"storefront-{name}"
    return [
        Call("s3:GetObject", f"{BUCKET}/{name}/environment.tfstate"),
        Call("s3:PutObject", f"{BUCKET}/locks/{name}.json"),
        Call("s3:PutObject", f"{BUCKET}/ledger/{name}/1/succeeded.json"),
        Call("s3:DeleteObject", f"{BUCKET}/{name}/environment.tfstate.tflock"),
        Call("ecs:UpdateService", f"arn:aws:ecs:{HERE}:service/{prefix}/{prefix}"),
        Call("ecs:StopServiceDeployment", f"arn:aws:ecs:{HERE}:service-deployment/{prefix}/{prefix}/1"),
        Call("ecs:ListTasks", f"arn:aws:ecs:{HERE}:container-instance/{prefix}/*", in_cluster(name)),
        Call("ecs:RunTask", f"arn:aws:ecs:{HERE}:task-definition/{prefix}-admin:3", in_cluster(name)),
        Call("ecs:StopTask", f"arn:aws:ecs:{HERE}:task/{prefix}/1", in_cluster(name)),
        Call("ecs:RegisterTaskDefinition", f"arn:aws:ecs:{HERE}:task-definition/{prefix}:7"),
        Call("ecs:TagResource", f"arn:aws:ecs:{HERE}:task-definition/{prefix}-admin:7"),
        Call("iam:PassRole", f"{ROLES}/{prefix}-execution", to("ecs-tasks")),
        Call(
            "application-autoscaling:RegisterScalableTarget",
            f"arn:aws:application-autoscaling:{HERE}:scalable-target/1",
            tags(name),
        ),
        Call("logs:GetLogEvents", f"arn:aws:logs:{HERE}:log-group:/ecs/{prefix}:log-stream:api/1"),
        Call("secretsmanager:GetSecretValue", f"{SECRETS}:{prefix}/slack-webhook-AbCdEf"),
        Call("secretsmanager:GetSecretValue", f"{SECRETS}:{prefix}/database/app-1-AbCdEf"),
    ]


def targets(name: str) -> list[Call]:
    """What a rollback looks at before it moves, and what a plan reads too."""
    return [
        Call("iam:GetRole", f"{ROLES}/storefront-{name}-execution"),
        Call("logs:DescribeLogGroups"),
        Call("s3:GetObject", f"{BUCKET}/ledger/{name}/1/succeeded.json"),
    ]


def deployments(name: str) -> list[Call]:
    """What changes an environment, and no rollback calls."""
    prefix = f"storefront-{name}"
    return [
        Call("s3:PutObject", f"{BUCKET}/{name}/environment.tfstate"),
        Call("s3:GetObject", f"{BUCKET}/{name}/environment.tfvars.json"),
        Call("s3:PutObject", f"{BUCKET}/{name}/environment.tfvars.json"),
        Call("iam:CreateRole", f"{ROLES}/{prefix}-task", boundary(name)),
        Call("iam:PutRolePolicy", f"{ROLES}/{prefix}-task", boundary(name)),
        Call("iam:PassRole", f"{ROLES}/{prefix}-alarm-bot", to("lambda")),
        Call("ec2:DeleteSubnet", f"arn:aws:ec2:{HERE}:subnet/subnet-1", tags(name)),
        Call("ec2:CreateSubnet", f"arn:aws:ec2:{HERE}:vpc/vpc-1", tags(name)),
        Call("ec2:AuthorizeSecurityGroupIngress", f"arn:aws:ec2:{HERE}:security-group/sg-1", tags(name)),
        Call("ec2:DeleteTags", f"arn:aws:ec2:{HERE}:subnet/subnet-1", tags(name)),
        Call("ec2:CreateTags", f"arn:aws:ec2:{HERE}:security-group/sg-default", asks(name)),
        Call("acm:RequestCertificate", context=asks(name)),
        Call("acm:AddTagsToCertificate", CERTIFICATE, asks(name)),
        Call("rds:CreateDBProxy", context=asks(name)),
        Call("cloudwatch:PutMetricAlarm", f"{ALARMS}:TargetTracking-service/{prefix}/{prefix}-AlarmHigh-1"),
        Call("rds:ModifyDBInstance", f"arn:aws:rds:{HERE}:db:{prefix}"),
        Call("rds:RestoreDBInstanceToPointInTime", f"arn:aws:rds:{HERE}:db:{prefix}-20261124-101500"),
        Call("rds:RestoreDBInstanceFromDBSnapshot", f"arn:aws:rds:{HERE}:snapshot:rds:{prefix}-2026-11-24-17-04"),
        Call("rds:ModifyDBProxy", f"arn:aws:rds:{HERE}:db-proxy:prx-1", tags(name)),
        Call("lambda:UpdateFunctionCode", f"arn:aws:lambda:{HERE}:function:{prefix}-alarm-bot"),
        Call("elasticloadbalancing:ModifyListener", f"arn:aws:elasticloadbalancing:{HERE}:listener/app/{prefix}/1/2"),
        Call("logs:CreateLogGroup", f"arn:aws:logs:{HERE}:log-group:/aws/lambda/{prefix}-alarm-bot"),
        Call("secretsmanager:CreateSecret", f"{SECRETS}:{prefix}/slack-webhook"),
        Call("cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:{HERE}:alarm:{prefix}-http-5xx"),
    ]


def checks(name: str) -> list[Call]:
    """What only a release looks at: that the tasks may read their secrets, and that what runs has them and logs."""
    instance = {"aws:ResourceTag/aws:rds:primaryDBInstanceArn": f"arn:aws:rds:{HERE}:db:storefront-{name}"}
    restored = {key: f"{arn}-20261124-101500" for key, arn in instance.items()}
    return [
        Call("secretsmanager:ListSecretVersionIds", f"{SECRETS}:storefront-{name}/database/app-1-AbCdEf"),
        Call("iam:SimulatePrincipalPolicy", f"{ROLES}/storefront-{name}-execution"),
        Call("logs:DescribeLogStreams", f"arn:aws:logs:{HERE}:log-group:/ecs/storefront-{name}"),
        Call("secretsmanager:GetSecretValue", f"{SECRETS}:rds!db-1-AbCdEf", instance),
        Call("secretsmanager:GetSecretValue", f"{SECRETS}:rds!db-2-AbCdEf", restored),
    ]


def plans(name: str) -> list[Call]:
    return [
        Call("s3:GetObject", f"{BUCKET}/{name}/environment.tfstate"),
        Call("s3:GetObject", f"{BUCKET}/{name}/environment.tfvars.json"),
        Call("secretsmanager:DescribeSecret", f"{SECRETS}:storefront-{name}/slack-webhook-AbCdEf"),
        Call("iam:GetRolePolicy", f"{ROLES}/storefront-{name}-task"),
        Call("lambda:GetFunction", f"arn:aws:lambda:{HERE}:function:storefront-{name}-alarm-bot"),
        *targets(name),
        *PULLS,
    ]


#: What any workflow reads that is tied to no environment.
SHARED = [Call("ec2:DescribeVpcs"), Call("rds:DescribeDBInstances"), Call("elasticloadbalancing:DescribeLoadBalancers")]
EDITS = ("PutRolePolicy", "AttachRolePolicy", "UpdateAssumeRolePolicy", "PutRolePermissionsBoundary", "DeleteRole")
ALARMS = f"arn:aws:cloudwatch:{HERE}:alarm"
CERTIFICATE = f"arn:aws:acm:{HERE}:certificate/1"
TARGET = f"arn:aws:application-autoscaling:{HERE}:scalable-target/1"
ADMINISTRATOR = {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}
REPOSITORY = f"arn:aws:ecr:{HERE}:repository/storefront"
PUSHES = [Call("ecr:PutImage", REPOSITORY), Call("ecr:UploadLayerPart", REPOSITORY)]
#: An image's findings, which only a deployment reads. Enhanced scanning needs the rights of Inspector too.
FINDINGS = [
    Call("ecr:DescribeImageScanFindings", REPOSITORY),
    Call("inspector2:ListCoverage"),
    Call("inspector2:ListFindings"),
]
#: What reads an image's labels.
PULLS = [Call("ecr:BatchGetImage", REPOSITORY), Call("ecr:GetDownloadUrlForLayer", REPOSITORY)]


def never() -> list[Call]:
    """What no workflow may do, by whatever way."""
    calls = [
        Call("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/mallory"),
        Call("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/admin"),
        Call("iam:CreatePolicy", f"arn:aws:iam::{ACCOUNT}:policy/storefront-staging-all"),
        Call("iam:CreateRole", f"{ROLES}/elsewhere", boundary("staging")),
        Call("iam:UpdateOpenIDConnectProviderThumbprint", PROVIDER),
        Call("iam:PassRole", f"{ROLES}/admin", to("ecs-tasks")),
        Call("sts:AssumeRole", f"{ROLES}/admin"),
        Call("organizations:LeaveOrganization"),
        Call("kms:Decrypt", f"arn:aws:kms:{HERE}:key/1"),
        Call("s3:DeleteBucket", BUCKET),
        Call("s3:PutObject", f"{BUCKET}/account/account.tfstate"),
        Call("ecr:DeleteRepository", REPOSITORY),
        Call("ssm:GetParameter", f"arn:aws:ssm:{HERE}:parameter/storefront"),
        Call("secretsmanager:GetSecretValue", f"{SECRETS}:rds!db-1-AbCdEf"),
        Call("secretsmanager:GetSecretValue", f"{SECRETS}:storefront-account/slack-webhook-AbCdEf"),
    ]
    for name in ("staging", "production"):
        other = "production" if name == "staging" else "staging"
        theirs = tags(name) | {"aws:ResourceTag/Application": "other"}
        calls += [
            # Another application's of the same environment; a tag that would make another's its own; another cluster.
            Call("ec2:DeleteSubnet", f"arn:aws:ec2:{HERE}:subnet/subnet-1", theirs),
            Call("ec2:CreateSubnet", f"arn:aws:ec2:{HERE}:vpc/vpc-1", theirs),
            Call("rds:ModifyDBProxy", f"arn:aws:rds:{HERE}:db-proxy:prx-1", theirs),
            Call("application-autoscaling:RegisterScalableTarget", TARGET, theirs),
            Call("application-autoscaling:PutScalingPolicy", TARGET, theirs),
            Call("ec2:CreateTags", f"arn:aws:ec2:{HERE}:subnet/subnet-1", asks(name)),
            Call("ec2:CreateTags", f"arn:aws:ec2:{HERE}:security-group/sg-1", tags("other") | asks(name)),
            Call("ec2:CreateTags", f"arn:aws:ec2:{HERE}:security-group/sg-1", asks("other")),
            Call("acm:AddTagsToCertificate", CERTIFICATE, tags("other") | asks(name)),
            *[
                Call(action, resource, asked)
                for action, resource in (("acm:RequestCertificate", "*"), ("acm:AddTagsToCertificate", CERTIFICATE))
                for asked in (asks("other"), asks(name) | {"aws:RequestTag/Application": "other"})
            ],
            Call("ecs:RegisterTaskDefinition", f"arn:aws:ecs:{HERE}:task-definition/storefront-{name}two:1"),
            Call("cloudwatch:DeleteAlarms", f"{ALARMS}:TargetTracking-service/other/other-AlarmHigh-1"),
            # What the plan's guard protects, and whoever insists does with their own rights.
            Call("rds:DeleteDBInstance", f"arn:aws:rds:{HERE}:db:storefront-{name}"),
            Call("ecs:DeleteService", f"arn:aws:ecs:{HERE}:service/storefront-{name}/storefront-{name}"),
            Call("ec2:DeleteVpc", f"arn:aws:ec2:{HERE}:vpc/vpc-1", tags(name)),
            Call("s3:DeleteBucket", f"arn:aws:s3:::storefront-{name}-alb-logs-{ACCOUNT}-ap-northeast-2"),
            Call("ecs:RunTask", f"arn:aws:ecs:{HERE}:task-definition/storefront-{name}-admin:3", in_cluster(other)),
            Call("ecs:ListTasks", f"arn:aws:ecs:{HERE}:container-instance/other/*", in_cluster("other")),
            # Its own rights, a role without the ceiling, a ceiling of another's.
            Call("iam:CreateRole", f"{ROLES}/storefront-{name}-task"),
            Call(
                "iam:CreateRole",
                f"{ROLES}/storefront-{name}-task",
                ADMINISTRATOR,
            ),
            Call("iam:PutRolePolicy", f"{ROLES}/storefront-{name}-task"),
            Call("iam:AttachRolePolicy", f"{ROLES}/storefront-{name}-task", boundary(name)),
            Call("iam:DeleteRolePermissionsBoundary", f"{ROLES}/storefront-{name}-task", boundary(name)),
            Call("iam:PassRole", f"{ROLES}/storefront-{name}-task", to("ec2")),
            Call("iam:PassRole", f"{ROLES}/storefront-{name}-task"),
            Call("iam:PassRole", f"{ROLES}/storefront-github-deploy-{name}", to("ecs-tasks")),
            Call("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/storefront-github-boundary-{name}"),
            Call("iam:DeletePolicy", f"arn:aws:iam::{ACCOUNT}:policy/storefront-github-deploy-boundary-{name}"),
        ]
        for action in (
            "PutRolePolicy",
            "AttachRolePolicy",
            "UpdateAssumeRolePolicy",
            "PutRolePermissionsBoundary",
            "DeleteRole",
        ):
            for key in SUBJECTS:
                calls.append(Call(f"iam:{action}", f"{ROLES}/storefront-github-{key}", boundary(name)))
    return calls


def expected(role: str) -> list[Call]:
    workflow, _, name = role.partition("-")
    match workflow:
        case "build":
            return PUSHES + PULLS
        case "plan":
            return plans(name) + SHARED
        case "rollback":
            return releases(name) + targets(name)
        case "deploy":
            return releases(name) + deployments(name) + checks(name) + FINDINGS + plans(name) + SHARED
    return []


def every_call() -> list[Call]:
    calls = [*SHARED, *PUSHES, *FINDINGS]
    for name in ("staging", "production"):
        calls += releases(name) + deployments(name) + checks(name) + plans(name)
    return calls


def wrong_rights(found: Identities) -> list[str]:
    wrong = []
    for role, identity in found.items():
        if role == "cost":  # its document is the cost report's own, tested there
            continue
        allowed = expected(role)
        wrong += [f"{role} lacks {call}" for call in allowed if not identity.allows(call)]
        wrong += [f"{role} may {call}" for call in every_call() if call not in allowed and identity.allows(call)]
        wrong += [f"{role} may {call}" for call in never() if identity.allows(call)]
    return wrong


def test_each_role_may_do_its_own_and_nothing_else(roles: Identities) -> None:
    assert wrong_rights(roles) == []


def test_each_right_is_one_that_aws_knows_for_such_resources(rendered: dict[str, Identities]) -> None:
    """An action that is misspelt, or that AWS does not tie to the resources of its statement, would allow nothing."""
    for run in ("both_environments", "an_account_of_production_alone"):
        for role, identity in rendered[run].items():
            ceiling = [identity.boundary] if identity.boundary else []
            assert pointless([*identity.policies, *ceiling]) == [], role
    assert pointless([json.loads(Path("roles/cost_report/files/policy.json").read_text(encoding="utf-8"))]) == []


def test_what_is_named_as_not_called_is_still_a_right(roles: Identities) -> None:
    for role in ("build", "plan-staging", "rollback-staging", "deploy-staging"):
        assert unneeded(roles[role], UNUSED[role.partition("-")[0]]) == [], role


EVERYTHING = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def readable(plan: Identity) -> list[Call]:
    """The secrets' values that a plan could read if somebody gave it every right."""
    widened = replace(plan, policies=[*plan.policies, EVERYTHING])
    actions = ("secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "ssm:GetParameter", "kms:Decrypt")
    calls = [Call(action, f"{SECRETS}:storefront-staging/slack-webhook-AbCdEf") for action in actions]
    return [call for call in calls if widened.allows(call)]


def raised(deploy: Identity) -> list[Call]:
    """How a deployment could raise its rights if somebody gave it every right."""
    widened = replace(deploy, policies=[EVERYTHING])
    calls = [call for call in never() if call.action.startswith(("iam:", "sts:", "organizations:"))]
    return [call for call in calls if widened.allows(call)]


def test_whatever_is_added_a_plan_reads_no_secrets_value_and_a_deployment_stays_bounded(roles: Identities) -> None:
    for name in ("staging", "production"):
        assert readable(roles[f"plan-{name}"]) == []
        assert raised(roles[f"deploy-{name}"]) == []


def test_a_dropped_deny_or_boundary_is_seen(roles: Identities) -> None:
    plan = roles["plan-staging"]
    kept = [[item for item in policy["Statement"] if item["Effect"] == "Allow"] for policy in plan.policies]
    assert readable(replace(plan, policies=[{"Statement": statements} for statements in kept]))
    deploy = roles["deploy-staging"]
    assert raised(replace(deploy, boundary=None))
    assert deploy.boundary
    for place, statement in enumerate(deploy.boundary["Statement"]):
        if "Condition" in statement:
            loose = deepcopy(dict(deploy.boundary))
            del loose["Statement"][place]["Condition"]
            assert raised(replace(deploy, boundary=loose)), statement["Sid"]


def by(role: str) -> dict[str, str]:
    return {"aws:PrincipalArn": f"{ROLES}/{role}"}


def deploys_anew(name: str, role: str) -> list[Call]:
    """What the rotation-bot calls of its environment."""
    prefix, whose = f"storefront-{name}", by(role)
    return [
        Call("ecs:DescribeServices", f"arn:aws:ecs:{HERE}:service/{prefix}/{prefix}", whose),
        Call("ecs:UpdateService", f"arn:aws:ecs:{HERE}:service/{prefix}/{prefix}", whose),
        Call("s3:GetObject", f"{BUCKET}/locks/{name}.json", whose),
    ]


def lists(role: str) -> Call:
    """How S3 answers that there is no lock; the bucket is one for all environments."""
    return Call("s3:ListBucket", BUCKET, by(role))


def wrong_ceiling(ceiling: Identity) -> list[Call]:
    """What staging's own roles do and the ceiling has no room for, and what it has room for beyond."""
    master = {"aws:ResourceTag/aws:rds:primaryDBInstanceArn": f"arn:aws:rds:{HERE}:db:storefront-staging"}
    fits = [
        Call("ecr:BatchGetImage", REPOSITORY),
        Call("logs:PutLogEvents", f"arn:aws:logs:{HERE}:log-group:/ecs/storefront-staging:log-stream:api"),
        Call(
            "logs:PutLogEvents", f"arn:aws:logs:{HERE}:log-group:/aws/lambda/storefront-staging-alarm-bot:log-stream:1"
        ),
        Call("logs:PutLogEvents", f"arn:aws:logs:{HERE}:log-group:/vpc/storefront-staging/flow-logs:log-stream:1"),
        Call("secretsmanager:PutSecretValue", f"{SECRETS}:storefront-staging/database/app-1-AbCdEf"),
        Call("secretsmanager:GetSecretValue", f"{SECRETS}:rds!db-1-AbCdEf", master),
        Call("ssmmessages:OpenDataChannel"),
        Call("dynamodb:PutItem", f"arn:aws:dynamodb:{HERE}:table/storefront-staging-slow-queries"),
        Call("sqs:SendMessage", f"arn:aws:sqs:{HERE}:storefront-staging-undelivered"),
        *deploys_anew("staging", "storefront-staging-rotation-bot"),
        lists("storefront-staging-rotation-bot"),
        Call("ecs:DescribeTaskDefinition", context=by("storefront-staging-rotation-bot")),
    ]
    beyond = [
        *never(),
        *deployments("staging"),
        Call("secretsmanager:GetSecretValue", f"{SECRETS}:storefront-production/database/app-1-AbCdEf"),
        Call("sqs:SendMessage", f"arn:aws:sqs:{HERE}:storefront-production-undelivered"),
        *deploys_anew("staging", "storefront-staging-task"),
        lists("storefront-staging-task"),
        Call("ecs:DescribeTaskDefinition", context=by("storefront-staging-task")),
        *deploys_anew("production", "storefront-staging-rotation-bot"),
    ]
    return [call for call in fits if not ceiling.allows(call)] + [call for call in beyond if ceiling.allows(call)]


def test_what_a_deployment_makes_is_under_a_ceiling(ceilings: Identities) -> None:
    assert wrong_ceiling(ceilings["staging"]) == []


# -- the tables see what they are for --------------------------------------------------------------------------------


def loosened(identity: Identity) -> Iterator[tuple[str, Identity]]:
    """The role with one condition of one statement dropped, one at a time."""
    for number, policy in enumerate(identity.policies):
        for place, statement in enumerate(policy["Statement"]):
            for operator, keys in statement.get("Condition", {}).items():
                for key in keys:
                    changed = deepcopy(policy)
                    del changed["Statement"][place]["Condition"][operator][key]
                    others = [*identity.policies[:number], changed, *identity.policies[number + 1 :]]
                    # A ceiling with the same condition would hide that it is gone.
                    yield (
                        f"{statement.get('Sid')}: {operator}: {key}",
                        replace(identity, policies=others, boundary=None),
                    )


def mutants(found: Identities) -> Iterator[tuple[str, Identities]]:
    """Of two roles that differ by name, one."""
    for role in ("build", "plan-staging", "rollback-staging", "deploy-staging"):
        for name, mutant in loosened(found[role]):
            yield f"{role}: {name}", {role: mutant}


def test_a_dropped_condition_of_a_right_is_seen(roles: Identities) -> None:
    without = {name: replace(identity, boundary=None) for name, identity in roles.items()}
    assert wrong_rights(without) == []
    tried = dict(mutants(roles))
    assert len(tried) > 15
    assert [name for name, mutant in tried.items() if wrong_rights(mutant) == []] == []


def test_a_dropped_condition_of_the_ceiling_is_seen(ceilings: Identities) -> None:
    tried = dict(loosened(ceilings["staging"]))
    assert tried
    assert [name for name, mutant in tried.items() if wrong_ceiling(mutant) == []] == []


def test_a_dropped_or_loosened_condition_of_trust_is_seen(roles: Identities) -> None:
    for role, identity in roles.items():
        for claim in ("aud", "sub"):
            dropped = deepcopy(dict(identity.trust))
            del dropped["Statement"][0]["Condition"]["StringEquals"][f"{ISSUER}:{claim}"]
            assert wrong_trust({role: replace(identity, trust=dropped)}, [IDS])
        loose = deepcopy(dict(identity.trust))
        equals = loose["Statement"][0]["Condition"].pop("StringEquals")
        loose["Statement"][0]["Condition"] = {
            "StringEquals": {f"{ISSUER}:aud": equals[f"{ISSUER}:aud"]},
            "StringLike": {f"{ISSUER}:sub": f"repo:{IDS}:*"},
        }
        assert wrong_trust({role: replace(identity, trust=loose)}, [IDS])


# -- the environment's own roles -------------------------------------------------------------------------------------


def test_every_role_of_the_environment_takes_the_boundary() -> None:
    """A role without it could not be made by the deploy role: each says it, and each module is given it."""
    without = []
    for module in sorted({path.parent for path in SOURCE.glob("modules/*/*.tf")} - {SOURCE / "modules/github"}):
        text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(module.glob("*.tf")))
        for resource in re.findall(r'^resource "aws_iam_role" .*?^}', text, re.MULTILINE | re.DOTALL):
            if not re.search(r"permissions_boundary += var\.permissions_boundary_arn", resource):
                without.append(f"{module.name}: {resource.splitlines()[0]}")
    takes = {
        path.parent.name
        for path in SOURCE.glob("modules/*/variables.tf")
        if 'variable "permissions_boundary_arn"' in path.read_text(encoding="utf-8")
    }
    for file in [
        SOURCE / "main.tf",
        *SOURCE.glob("modules/notifications/*.tf"),
        *SOURCE.glob("modules/query_bot/*.tf"),
    ]:
        for block in re.findall(r'^module "\w+" .*?^}', file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            source = re.search(r'source += ".*/(\w+)"', block)
            if source and source[1] in takes and "= var.permissions_boundary_arn" not in block:
                without.append(f"{file.name}: {source[1]}")
    assert without == []

"""Each requirement of a release, present and missing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.parsers import ResponseParserError

from fargate_ops.core.outcome import Kind
from fargate_ops.ecs.rollout import ServiceError
from fargate_ops.release.checks.checks import image_that_runs
from fargate_ops.release.checks.findings import Verdict, failure, tree
from fargate_ops.release.checks.references import Reference
from tests.unit.release.checks.conftest import NAME, PASSWORD, SETTINGS, TRUST, World, client_error

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
OK, FAIL, SKIP, WARN = Verdict.OK, Verdict.FAIL, Verdict.SKIP, Verdict.WARN


def shown(world: World) -> str:
    """Return everything that is shown to people and machines."""
    findings = world.look()
    return (
        tree("", findings)
        + str(failure("test", findings) or "")
        + json.dumps([finding.as_row() for finding in findings])
    )


def test_a_sound_environment_is_ok_throughout(world: World) -> None:
    findings = world.look()
    assert {finding.verdict for finding in findings} == {OK}
    assert list(dict.fromkeys(finding.group for finding in findings)) == [
        "image", "secrets", "roles", "rights", "logs", "load balancer", "service", "alarms",
    ]  # fmt: skip
    assert "18 OK: nothing is in the way of a release" in tree("", findings)


# -- notifications -----------------------------------------------------------------------------------------------------


def test_a_webhook_without_a_value_is_a_warning_where_slack_is_meant(world: World) -> None:
    secrets = world.client("secretsmanager")
    arn = secrets.create_secret(Name="webhook")["ARN"]
    world.outputs["slack_webhook_secret_arn"] = arn
    assert world.of("notifications") == []
    world.slack = True
    found = world.only(WARN)
    assert (found.group, "nothing reaches Slack: no webhook is set" in found.reason) == ("notifications", True)
    secrets.put_secret_value(SecretId=arn, SecretString="https://hooks.example/very-secret")
    assert world.of("notifications") == [(OK, "the webhook has a value")]
    assert "very-secret" not in shown(world)
    world.outputs["slack_webhook_secret_arn"] = ""
    assert "there is no secret for it" in world.only(WARN).reason


# -- image -------------------------------------------------------------------------------------------------------------


def test_an_image_that_the_registry_does_not_hold(world: World) -> None:
    assert world.image
    world.image = replace(world.image, digest="sha256:" + "0" * 64)
    found = world.only(FAIL)
    assert (found.group, "has no sha256:000" in found.reason) == ("image", True)
    assert "make release ENV=test" in found.next_command


def test_no_repository(world: World) -> None:
    world.client("ecr").delete_repository(repositoryName="settlement", force=True)
    assert world.only(FAIL).next_command == "make bootstrap ENV=test"


def test_an_image_for_another_processor(world: World) -> None:
    world.configuration["architecture"] = "arm64"
    assert world.only(FAIL).reason == "it is built for ARM64, and the tasks run on X86_64"


def test_an_image_that_is_not_known_yet(world: World) -> None:
    world.image = None
    assert world.only(SKIP).group == "image"


def test_the_image_that_runs(world: World) -> None:
    assert world.image
    assert image_that_runs(world, world.stack) == world.image.__class__(
        version="v1", digest=world.image.digest, reference=world.image.reference, schema_head=None
    )


def test_the_placeholder_is_no_image_that_runs(world: World) -> None:
    ecs = world.client("ecs")
    placeholder = ecs.register_task_definition(
        family=f"{NAME}-placeholder", containerDefinitions=[{"name": "api", "image": "scratch", "memory": 128}]
    )["taskDefinition"]["taskDefinitionArn"]
    ecs.create_service(cluster=NAME, serviceName="new", taskDefinition=placeholder, desiredCount=0)
    world.outputs["service_name"] = "new"
    assert image_that_runs(world, world.stack) is None


def test_without_a_database_only_the_service_is_checked(world: World) -> None:
    for name in [name for name in world.outputs if name.startswith(("admin_", "app_database", "database"))]:
        del world.outputs[name]
    arn = other_secret(world)
    world.settings = replace(world.settings, secrets={"TOKEN": f"{arn}:token::"})
    world.application = replace(world.application, database=False, admin_command=())
    findings = world.look()
    assert {item.subject for item in findings if item.group in ("secrets", "roles", "logs")} == {
        f"TOKEN ({NAME})",
        f"execution role ({NAME})",
        f"task role ({NAME})",
        f"/ecs/{NAME}",
    }
    (found,) = [item for item in findings if item.verdict is FAIL]
    assert found.next_command.startswith(f"add {arn} to app_secret_arns")


# -- what the execution roles may read ---------------------------------------------------------------------------------


def other_secret(world: World) -> str:
    """A secret that the inventory names and Terraform does not know."""
    arn: str = world.client("secretsmanager").create_secret(Name="other", SecretString='{"token": "t"}')["ARN"]
    world.settings = replace(SETTINGS, secrets=SETTINGS.secrets | {"TOKEN": f"{arn}:token::", "OLD": f"{arn}:token::"})
    return arn


def test_a_secret_that_the_execution_role_may_not_read(world: World) -> None:
    arn = other_secret(world)
    found = world.only(FAIL)
    assert (found.group, found.subject) == ("rights", arn.split(":")[-1])
    assert found.reason == "settlement-test-execution may not read it"
    assert found.next_command.startswith(f"add {arn} to app_secret_arns in inventory/test/group_vars/all/app.yml")


def test_a_secret_whose_own_policy_may_let_the_role_in_stops_nothing(world: World) -> None:
    arn = other_secret(world)
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    world.client("secretsmanager").put_resource_policy(SecretId=arn, ResourcePolicy=policy)
    assert "only if the secret's own policy says so" in world.only(WARN).reason


def test_a_right_on_the_databases_secret_that_is_gone_is_terraforms(world: World) -> None:
    world.client("iam").delete_role_policy(RoleName=f"{NAME}-execution", PolicyName="start-tasks")
    assert world.only(FAIL).next_command == "make infra ENV=test"


def test_who_may_not_simulate_learns_nothing_of_it(world: World) -> None:
    world.refused["simulate_principal_policy"] = client_error("AccessDenied", "SimulatePrincipalPolicy")
    assert [verdict for verdict, _ in world.of("rights")] == [SKIP, SKIP]


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_a_missing_json_key(world: World) -> None:
    world.settings = replace(SETTINGS, secrets={"DATABASE_USER": "username", "DATABASE_PASSWORD": "passwort"})
    found = world.only(FAIL)
    assert found.subject == "DATABASE_PASSWORD (settlement-test)"
    assert found.reason.endswith("has no JSON key passwort")
    assert "inventory/test/group_vars/all/app.yml" in found.next_command


def test_a_value_is_never_shown(world: World) -> None:
    secret = world.client("secretsmanager").create_secret(Name="other", SecretString=PASSWORD)["ARN"]
    world.settings = replace(SETTINGS, secrets={"A": f"{secret}:key::", "B": secret, "C": "nothing"})
    text = shown(world)
    assert "is no JSON object, so it has no key key" in text
    assert "has a value" in text
    assert PASSWORD not in text


def test_a_store_that_answers_rubbish_is_told_by_the_kind_of_error_only(world: World) -> None:
    world.refused["get_secret_value"] = ResponseParserError(f"Unable to parse response: {PASSWORD}")
    assert {verdict for verdict, _ in world.of("secrets")} == {SKIP}
    assert "ResponseParserError" in shown(world)
    assert PASSWORD not in shown(world)


def test_the_applications_secret_without_a_value_is_put_by_a_person_without_an_admin_command(world: World) -> None:
    world.application = replace(world.application, admin_command=[])
    arn = world.client("secretsmanager").create_secret(Name="without-value")["ARN"]
    world.outputs["app_database_secret_arn"] = arn
    found = [finding for finding in world.look() if finding.group == "secrets" and finding.verdict is FAIL]
    assert [finding.reason for finding in found] == [
        f"{Reference(arn=arn).name} has no value, and the application has no admin command (app_admin_command)"
    ] * 2
    assert f"--secret-id {arn} --secret-string file://…" in found[0].next_command


def test_the_applications_secret_without_a_value_is_made_by_the_first_release(world: World) -> None:
    secret = world.client("secretsmanager").create_secret(Name="empty")["ARN"]
    world.outputs["app_database_secret_arn"] = secret
    verdicts = world.of("secrets")
    assert [verdict for verdict, _ in verdicts].count(SKIP) == 2
    assert any("the first release makes it" in reason for _, reason in verdicts)


@pytest.mark.parametrize("which", ["app_database_secret_arn", "master"])
def test_a_secret_that_is_gone(world: World, which: str) -> None:
    gone = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:gone-Ab12Cd"
    if which == "master":
        world.outputs["database"]["master_secret_arn"] = gone
    else:
        world.outputs[which] = gone
    wrong = [finding for finding in world.look() if finding.verdict is FAIL]
    assert [finding.group for finding in wrong] == ["secrets", "secrets"]
    assert wrong[0].next_command == "make infra ENV=test"


def test_a_secret_that_is_scheduled_for_deletion_is_restored(world: World) -> None:
    secrets = world.client("secretsmanager")
    arn = secrets.create_secret(Name="dropped", SecretString="{}")["ARN"]
    secrets.delete_secret(SecretId=arn, RecoveryWindowInDays=7)
    world.outputs["app_database_secret_arn"] = arn
    found = next(finding for finding in world.look() if finding.verdict is FAIL)
    assert "is scheduled for deletion" in found.reason
    assert found.next_command == f"aws secretsmanager restore-secret --region {world.stack.region} --secret-id {arn}"


def test_parameters(world: World) -> None:
    ssm = world.client("ssm")
    ssm.put_parameter(Name="/settlement/token", Value=PASSWORD, Type="SecureString")
    arn = ssm.get_parameter(Name="/settlement/token")["Parameter"]["ARN"]
    world.settings = replace(SETTINGS, secrets={"TOKEN": arn, "OTHER": arn + "-gone"})
    ours = [item for item in world.look() if item.subject.startswith(("OTHER", "TOKEN"))]
    verdicts = {item.subject.partition(" ")[0]: (item.verdict, item.reason) for item in ours if item.group == "secrets"}
    assert verdicts["TOKEN"] == (OK, "parameter/settlement/token is there")
    assert verdicts["OTHER"][0] is FAIL
    assert PASSWORD not in shown(world)


# -- what may not be asked, and what does not answer -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "group"),
    [
        ("get_secret_value", "secrets"),
        ("get_role", "roles"),
        ("describe_log_groups", "logs"),
        ("describe_target_groups", "load balancer"),
        ("describe_services", "service"),
        ("get_paginator", "alarms"),
        ("describe_images", "image"),
    ],
)
@pytest.mark.parametrize(
    "error", [client_error("AccessDeniedException"), client_error("ThrottlingException")], ids=["denied", "throttled"]
)
def test_what_may_not_be_asked_or_does_not_answer_is_skipped(
    world: World, operation: str, group: str, error: Exception
) -> None:
    world.refused[operation] = error
    findings = world.look()
    assert {finding.verdict for finding in findings if finding.group == group} == {SKIP}
    assert {finding.verdict for finding in findings if finding.group != group} == {OK}


def test_an_endpoint_that_is_not_there_is_skipped(world: World) -> None:
    world.refused["get_role"] = EndpointConnectionError(endpoint_url="https://iam")
    assert all(verdict is SKIP and "https://iam" in reason for verdict, reason in world.of("roles"))


# -- roles and logs ----------------------------------------------------------------------------------------------------


def test_a_role_that_is_gone(world: World) -> None:
    world.client("iam").delete_role(RoleName=f"{NAME}-task")
    found = world.only(FAIL)
    assert (found.subject, found.reason) == (f"task role ({NAME})", f"there is no role {NAME}-task")


def test_a_role_that_another_service_may_take(world: World) -> None:
    policy = json.loads(json.dumps(TRUST).replace("ecs-tasks", "lambda"))
    world.client("iam").update_assume_role_policy(RoleName=f"{NAME}-admin-task", PolicyDocument=json.dumps(policy))
    assert world.only(FAIL).reason == f"{NAME}-admin-task is not trusted by ecs-tasks.amazonaws.com"


def test_a_log_group_that_is_gone_although_a_longer_name_is_there(world: World) -> None:
    world.client("logs").delete_log_group(logGroupName=f"/ecs/{NAME}")
    assert world.only(FAIL).subject == f"/ecs/{NAME}"


# -- load balancer and service -----------------------------------------------------------------------------------------


def test_a_target_group_that_is_gone(world: World) -> None:
    world.client("elbv2").delete_target_group(TargetGroupArn=world.stack.target_group_arn)
    assert world.only(FAIL).reason == "there is no such target group"


def test_a_target_group_of_instances(world: World) -> None:
    vpc = world.client("elbv2").describe_target_groups()["TargetGroups"][0]["VpcId"]
    made = world.client("elbv2").create_target_group(
        Name="instances", Protocol="HTTP", Port=8000, VpcId=vpc, TargetType="instance"
    )
    world.outputs["target_group_arn"] = made["TargetGroups"][0]["TargetGroupArn"]
    wrong = [finding.reason for finding in world.look() if finding.verdict is FAIL]
    assert wrong[0] == "its targets are of the type instance, and tasks on Fargate need ip"
    assert wrong[1].startswith("the service uses arn:")


def test_a_port_that_the_service_does_not_register(world: World) -> None:
    world.outputs["container_port"] = 9000
    assert world.only(FAIL).reason == "the service registers api:8000, and the definition maps api:9000"


def test_a_service_that_is_gone(world: World) -> None:
    world.client("ecs").delete_service(cluster=NAME, service=NAME, force=True)
    assert "the service is" in world.only(FAIL).reason
    world.outputs["service_name"] = "another"
    assert world.only(FAIL).reason == "the service is missing"
    with pytest.raises(ServiceError):
        image_that_runs(world, world.stack)


class InFlight(World):
    """A world whose PRIMARY deployment is in progress."""

    def client(self, name: str) -> Any:
        client = super().client(name)
        if name == "ecs":
            client.describe_services = self._describe_services
        return client

    def _describe_services(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = super().client("ecs").describe_services(**request)
        answer["services"][0]["deployments"][0]["rolloutState"] = "IN_PROGRESS"
        return answer


def in_flight(world: World) -> InFlight:
    return InFlight(outputs=world.outputs, image=world.image, configuration=world.configuration)


def test_a_deployment_of_what_is_wanted_is_taken_up(world: World) -> None:
    assert any(verdict is OK and "resumes it" in reason for verdict, reason in in_flight(world).of("service"))


@pytest.mark.parametrize(("preview", "verdict"), [(False, FAIL), (True, WARN)])
def test_a_deployment_of_something_else_is_in_the_way(world: World, preview: bool, verdict: Verdict) -> None:
    flying = in_flight(world)
    flying.settings, flying.preview = replace(SETTINGS, memory=1024), preview
    assert flying.only(verdict).reason.startswith(f"one of {NAME}:1 is in flight")


# -- alarms ------------------------------------------------------------------------------------------------------------


def test_an_alarm_is_a_warning_and_never_more(world: World) -> None:
    cloudwatch = world.client("cloudwatch")
    for name in (f"{NAME}-errors", f"{NAME}-quiet", f"{NAME}2-errors", "other"):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="n",
            MetricName="m",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        state = "OK" if name.endswith("quiet") else "ALARM"
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")
    found = world.only(WARN)
    assert found.subject == f"{NAME}-errors"
    assert found.reason.startswith("in ALARM since 2")
    assert "17 OK, 1 WARN: nothing is in the way of a release" in tree("", world.look())


# -- how it reads ------------------------------------------------------------------------------------------------------


def test_a_failure_names_what_is_wrong_and_the_way_out(world: World) -> None:
    world.client("iam").delete_role(RoleName=f"{NAME}-task")
    findings = world.look()
    shown = tree("title", findings)
    assert "17 OK, 1 FAIL: a release would fail" in shown
    assert f"FAIL  task role ({NAME})\n" in shown, "its reason is in the error, once"
    error = failure("test", findings)
    assert error
    assert str(error) == (
        "One problem in test; neither the service nor its database was touched.\n"
        f"1. [roles] there is no role {NAME}-task.\n"
        f"  where: task role ({NAME})\n"
        "  next:  make infra ENV=test"
    )
    end = error.outcome("test")
    assert (end.kind, end.what) == (Kind.REFUSED, "nothing was touched")
    assert (end.where, end.cause) == (f"task role ({NAME})", f"there is no role {NAME}-task")
    assert (end.next, error.evidence) == ("make infra ENV=test", "")

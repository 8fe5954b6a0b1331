"""Check everything that a release needs in its environment, without changing anything.

All checks run concurrently, and each returns findings. A check that cannot run (no permission, no answer) is a SKIP: if
something is wrong, the phase that needs it reports that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.alarms import IN_ALARM, alarms
from fargate_ops.aws.clients import Clients
from fargate_ops.core.application import NO_ADMIN_COMMAND, Application
from fargate_ops.core.problem import ProblemError
from fargate_ops.ecs.rollout import ServiceError, Snapshot
from fargate_ops.ecs.task_definition import (
    Image,
    Settings,
    admin_definition,
    canonical,
    database_secret_arns,
    service_definition,
)
from fargate_ops.image.registry import FARGATE_ARCHITECTURES, Registry, RepositoryMissingError
from fargate_ops.notify.deliver import NoWebhook, read_webhook
from fargate_ops.release.checks import what_runs
from fargate_ops.release.checks.findings import Finding, Verdict
from fargate_ops.release.checks.references import Reference, UnreadableError, keys_of, see_parameter
from fargate_ops.release.checks.trust import ECS_TASKS, trusts
from fargate_ops.terraform.stack import Stack

#: Errors for a caller without permission.
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
#: Errors of Secrets Manager and the Parameter Store for a value that cannot be read, and their meaning.
#: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html#API_GetSecretValue_Errors
NO_VALUE = {
    "ResourceNotFoundException": "does not exist, or has no such value",
    "InvalidRequestException": "is scheduled for deletion",
    "DecryptionFailure": "cannot be decrypted",
    "ParameterNotFound": "does not exist",
    "ParameterVersionNotFound": "has no such version",
    "InvalidKeyId": "cannot be decrypted",
}
CLIENTS = ("ecs", "ecr", "iam", "logs", "elbv2", "secretsmanager", "cloudwatch")
#: The image in rendered definitions while none is known. Nothing that depends on the image is checked then.
UNKNOWN = Image(version="", digest="", reference="", schema_head=None)


@dataclass(frozen=True, kw_only=True)
class Place:
    """The environment of a release."""

    environment: str
    stack: Stack


@dataclass(frozen=True, kw_only=True)
class Wanted(Place):
    """The release to check.

    ``image`` is None while its digest is not known. ``preview``: check mode. ``slack``: notifications go to Slack.
    """

    application: Application
    settings: Settings
    image: Image | None
    preview: bool = False
    slack: bool = False

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """Return the service's definition, and with a database the admin definition, rendered."""
        image = self.image or UNKNOWN
        renders = (service_definition, admin_definition) if self.application.database else (service_definition,)
        return [render(self.stack, self.application, self.settings, image) for render in renders]


def image_that_runs(clients: Clients, stack: Stack) -> Image | None:
    """Return the image of the PRIMARY deployment; None while that is the placeholder.

    Raises:
        ServiceError: there is no such service.
        ClientError, BotoCoreError: ECS did not answer.
    """
    ecs = clients.client("ecs")
    service = _service(ecs, stack)
    if service is None:
        raise ServiceError(f"there is no service {stack.service_name}")
    revision = Snapshot(service=service, targets={}).primary.revision
    answer = ecs.describe_task_definition(taskDefinition=revision, include=["TAGS"])
    tags = {tag["key"]: tag["value"] for tag in answer.get("tags") or []}
    containers = {item["name"]: item for item in answer["taskDefinition"]["containerDefinitions"]}
    reference = str(containers.get(stack.container_name, {}).get("image", ""))
    digest = reference.partition("@")[2]
    if not digest:
        return None
    return Image(
        version=tags.get("version", digest),
        digest=digest,
        reference=reference,
        schema_head=tags.get("schema_head"),
    )


Check = Callable[[], list[Finding]]


@dataclass(frozen=True)
class Question:
    """One check, with the group and subject of its findings."""

    group: str
    subject: str
    ask: Check

    def answer(self) -> list[Finding]:
        try:
            return self.ask()
        except ClientError as error:
            detail = error.response["Error"]
            denied = detail["Code"] in DENIED
            reason = f"{'these credentials may not ask' if denied else 'not answered'} ({error.operation_name})"
            return [self.skip(reason if denied else f"{reason}: {detail['Code']}")]
        except ProblemError as error:
            return [self.skip(error.problem.what)]
        except (BotoCoreError, UnreadableError) as error:
            return [self.skip(f"not answered: {error}")]

    def skip(self, reason: str) -> Finding:
        return Finding(group=self.group, subject=self.subject, verdict=Verdict.SKIP, reason=reason)


def check(clients: Clients, wanted: Wanted) -> list[Finding]:
    """Run all checks. Return the findings in a fixed order."""
    return _answers(_questions(clients, wanted))


def check_registered(clients: Clients, place: Place, definition: Mapping[str, Any]) -> list[Finding]:
    """Check the secrets, roles and log groups of a registered definition, as ECS returns it.

    FAIL means that one does not exist.
    """
    return _answers(
        [
            *_secret_questions(clients, place, [definition], _secret),
            *_role_questions(clients, place, [definition], _role_exists),
            *_log_questions(clients, place, [definition]),
        ]
    )


def _answers(questions: Sequence[Question]) -> list[Finding]:
    """Run the checks concurrently. Return the findings in their order."""
    with ThreadPoolExecutor(max(1, len(questions))) as pool:
        return [finding for answer in pool.map(Question.answer, questions) for finding in answer]


def check_what_runs(
    clients: Clients,
    wanted: Wanted,
    say: Callable[[str], None],
    poll_seconds: float,
    sleep: Callable[[float], None],
) -> list[Finding]:
    """Check the running tasks and, with a database, their login. In check mode no task is started."""
    service = _service(clients.client("ecs"), wanted.stack)
    if service is None or not service["desiredCount"]:
        return []  # the service's own check reports that
    primary = Snapshot(service=service, targets={}).primary
    where = (clients, wanted.stack, wanted.environment, primary)
    found = Question(what_runs.GROUP, primary.revision_name, partial(what_runs.tasks, *where)).answer()
    if not wanted.application.database:
        return found
    if not wanted.application.admin_command:
        reason = f"whether its credentials log in is not known: {NO_ADMIN_COMMAND}"
        return [*found, _finding(what_runs.GROUP, "database", Verdict.SKIP, reason)]
    if wanted.preview:
        return [*found, _finding(what_runs.GROUP, "database", Verdict.SKIP, "no task is started in check mode")]
    return [*found, what_runs.login(*where, wanted.application.admin("login"), say, poll_seconds, sleep)]


def _questions(clients: Clients, wanted: Wanted) -> list[Question]:
    for name in CLIENTS:  # boto3 makes clients in one thread only; they may then be used in all
        clients.client(name)
    stack, definitions = wanted.stack, wanted.definitions
    questions = [
        Question("image", _image_name(wanted.image), partial(_image, clients.client("ecr"), wanted)),
        *_secret_questions(clients, wanted, definitions, _secret_or_first_release),
        *_role_questions(clients, wanted, definitions, _role),
        *_right_questions(clients, wanted, definitions),
        *_log_questions(clients, wanted, definitions),
    ]
    target_group = stack.target_group_arn.rsplit(":", 1)[-1]
    balancer = partial(_target_group, clients.client("elbv2"), wanted, target_group)
    questions += [
        Question("load balancer", target_group, balancer),
        Question("service", stack.service_name, partial(_service_findings, clients.client("ecs"), wanted)),
        Question("alarms", stack.name_prefix, partial(_alarms, clients.client("cloudwatch"), wanted)),
    ]
    if wanted.slack:
        questions.append(Question("notifications", "Slack", partial(_slack, clients.client("secretsmanager"), wanted)))
    return questions


def _secret_questions(
    clients: Clients, place: Place, definitions: Sequence[Mapping[str, Any]], ask: Callable[..., list[Finding]]
) -> Iterator[Question]:
    for reference, uses in _references(definitions).items():
        client = clients.client("ssm" if reference.is_parameter else "secretsmanager")
        yield Question("secrets", reference.name, partial(ask, client, place, reference, uses))


def _role_questions(
    clients: Clients, place: Place, definitions: Sequence[Mapping[str, Any]], ask: Callable[..., list[Finding]]
) -> Iterator[Question]:
    for arn, subject in _roles(definitions).items():
        yield Question("roles", subject, partial(ask, clients.client("iam"), place, arn, subject))


def _right_questions(clients: Clients, place: Place, definitions: Sequence[Mapping[str, Any]]) -> Iterator[Question]:
    iam, secrets = clients.client("iam"), clients.client("secretsmanager")
    for definition in definitions:
        for reference in {Reference(arn=reference.arn): None for reference in _references([definition])}:
            ask = partial(_may_read, iam, secrets, place, definition["executionRoleArn"], reference)
            yield Question("rights", reference.name, ask)


def _log_questions(clients: Clients, place: Place, definitions: Sequence[Mapping[str, Any]]) -> Iterator[Question]:
    for group in _log_groups(definitions):
        yield Question("logs", group, partial(_log_group, clients.client("logs"), place, group))


# -- notifications -----------------------------------------------------------------------------------------------------


def _slack(secrets: Any, wanted: Wanted) -> list[Finding]:
    """Check that the webhook has a value. This is only a warning: its secret exists only after a first apply."""
    found = partial(_finding, "notifications", "Slack")
    arn = wanted.stack.get(Stack.slack_webhook_secret_arn, "")
    try:
        if not arn:
            raise NoWebhook("there is no secret for it")
        read_webhook(secrets, arn)
    except NoWebhook as error:
        put = "put it (terraform/modules/notifications/README.md), then make test-page"
        return [found(Verdict.WARN, f"notifications_slack is true, but nothing reaches Slack: {error}. Next: {put}")]
    return [found(Verdict.OK, "the webhook has a value")]


# -- image -------------------------------------------------------------------------------------------------------------


def _image_name(image: Image | None) -> str:
    return image.version if image else "image"


def _image(ecr: Any, wanted: Wanted) -> list[Finding]:
    found = partial(_finding, "image", _image_name(wanted.image))
    image = wanted.image
    if image is None:
        return [found(Verdict.SKIP, "not known yet: no image is built, or none runs")]
    address, _, repository = image.reference.partition("@")[0].partition("/")
    registry = Registry(address, repository, ecr)
    another = (
        f"make deploy ENV={wanted.environment}, which builds this commit's, or another version: "
        f"make release ENV={wanted.environment} ARGS='-e image_build_version=<hash>'"
    )
    try:
        there = registry.holds(image.digest)
    except RepositoryMissingError:
        return [found(Verdict.FAIL, f"there is no repository {repository}", f"make bootstrap ENV={wanted.environment}")]
    if not there:
        return [found(Verdict.FAIL, f"{registry.name} has no {image.digest}", another)]
    architecture = registry.configuration(image.digest).architecture
    built_for, tasks = FARGATE_ARCHITECTURES.get(architecture, architecture), wanted.stack.cpu_architecture
    if built_for != tasks:
        edit = f"correct app_cpu_architecture in {_inventory(wanted)}, or build on such a machine"
        return [found(Verdict.FAIL, f"it is built for {built_for}, and the tasks run on {tasks}", edit)]
    return [found(Verdict.OK, f"{registry.name} has {image.digest[:19]}…, for {built_for}")]


# -- secrets -----------------------------------------------------------------------------------------------------------

#: Family, variable and JSON key (empty for the whole value) of a secret's use in a definition.
Use = tuple[str, str, str]


def _references(definitions: Sequence[Mapping[str, Any]]) -> dict[Reference, list[Use]]:
    """Return each secret once, with its uses."""
    found: dict[Reference, list[Use]] = {}
    for definition in definitions:
        for container in definition["containerDefinitions"]:
            for secret in container.get("secrets", []):
                one = Reference.parse(secret["valueFrom"])
                whole = Reference(arn=one.arn, stage=one.stage, version=one.version)
                found.setdefault(whole, []).append((definition["family"], secret["name"], one.key))
    return found


def _secret_or_first_release(client: Any, wanted: Wanted, secret: Reference, uses: Sequence[Use]) -> list[Finding]:
    """Check a secret as `_secret` does, but allow a database user's secret without a value if a release makes it."""
    findings = _secret(client, wanted, secret, uses)
    if not any(finding.verdict is Verdict.FAIL for finding in findings) or not _is_unset(client, wanted, secret):
        return findings
    verdict, reason, way = Verdict.SKIP, f"{secret.name} has no value yet: the first release makes it", ""
    if not wanted.application.admin_command:
        verdict, reason = Verdict.FAIL, f"{secret.name} has no value, and {NO_ADMIN_COMMAND}"
        put = f"aws secretsmanager put-secret-value --region {wanted.stack.region} --secret-id {secret.arn}"
        way = f"create that database user, and put its credentials: {put} --secret-string file://…"
    return [_finding("secrets", finding.subject, verdict, reason, way) for finding in findings]


def _secret(client: Any, place: Place, secret: Reference, uses: Sequence[Use]) -> list[Finding]:
    """Check that the secret has a value with each key that is used. The value is never shown."""

    def each(judge: Callable[[str], tuple[Verdict, str, str]]) -> list[Finding]:
        return [_finding("secrets", f"{name} ({family})", *judge(key)) for family, name, key in uses]

    edit = f"correct app_secrets in {_inventory(place)}, or"
    try:
        if secret.is_parameter:
            see_parameter(client, secret)
            return each(lambda _: (Verdict.OK, f"{secret.name} is there", ""))
        keys = keys_of(client, secret)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in NO_VALUE:
            raise
        way = _way_to_a_secret(place, secret, edit, code)
        return each(lambda _: (Verdict.FAIL, f"{secret.name} {NO_VALUE[code]} ({code})", way))

    def judge(key: str) -> tuple[Verdict, str, str]:
        if not key:
            return Verdict.OK, f"{secret.name} has a value", ""
        if keys is None:
            return Verdict.FAIL, f"{secret.name} is no JSON object, so it has no key {key}", f"{edit} {put}"
        if key not in keys:
            return Verdict.FAIL, f"{secret.name} has no JSON key {key}", f"{edit} {put}"
        return Verdict.OK, f"{secret.name} has the key {key}", ""

    region = place.stack.region
    put = f"add it: aws secretsmanager put-secret-value --region {region} --secret-id {secret.arn} --secret-string file://…"
    return each(judge)


def _is_unset(client: Any, wanted: Wanted, secret: Reference) -> bool:
    """Return whether it is a database user's secret without a value: the admin task of the first release sets it."""
    if secret not in [Reference(arn=arn) for arn in database_secret_arns(wanted.stack)]:
        return False
    try:
        described = client.describe_secret(SecretId=secret.arn)
        return not described.get("VersionIdsToStages") and not described.get("DeletedDate")
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return False
        raise


def _way_to_a_secret(place: Place, secret: Reference, edit: str, code: str) -> str:
    if code == "InvalidRequestException":
        # Terraform cannot create one of the same name before the recovery window is over.
        return f"aws secretsmanager restore-secret --region {place.stack.region} --secret-id {secret.arn}"
    if secret.arn in _secrets_of_terraform(place.stack):
        return f"make infra ENV={place.environment}"
    region = place.stack.region
    if secret.is_parameter:
        return f"{edit} look at it: aws ssm get-parameter --region {region} --name {secret.arn}"
    return f"{edit} look at it: aws secretsmanager describe-secret --region {region} --secret-id {secret.arn}"


def _secrets_of_terraform(stack: Stack) -> list[str]:
    """Return the secrets that exist with the database: those of its users and of its master user."""
    return [*database_secret_arns(stack), *([stack.database.master_secret_arn] if stack.has_database else [])]


# -- roles and logs ----------------------------------------------------------------------------------------------------


def _roles(definitions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return each role's ARN once, with its purpose."""
    found: dict[str, str] = {}
    for definition in definitions:
        for field, kind in (("executionRoleArn", "execution role"), ("taskRoleArn", "task role")):
            if field in definition:
                found.setdefault(definition[field], f"{kind} ({definition['family']})")
    return found


def _role_exists(iam: Any, place: Place, arn: str, subject: str) -> list[Finding]:
    return [_found_role(iam, place, arn, subject)[0]]


def _found_role(iam: Any, place: Place, arn: str, subject: str) -> tuple[Finding, Mapping[str, Any]]:
    """Check that the role exists. Return its trust policy too, empty if it does not."""
    found, name = partial(_finding, "roles", subject), arn.rsplit("/", 1)[-1]
    try:
        policy = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return found(Verdict.FAIL, f"there is no role {name}", f"make infra ENV={place.environment}"), {}
        raise
    return found(Verdict.OK, f"{name} is there"), policy


def _role(iam: Any, wanted: Wanted, arn: str, subject: str) -> list[Finding]:
    found, name = partial(_finding, "roles", subject), arn.rsplit("/", 1)[-1]
    exists, policy = _found_role(iam, wanted, arn, subject)
    if exists.verdict is Verdict.FAIL:
        return [exists]
    way = f"make infra ENV={wanted.environment}"
    if not trusts(policy):
        return [found(Verdict.FAIL, f"{name} is not trusted by {ECS_TASKS}", way)]
    return [found(Verdict.OK, f"{name} is trusted by {ECS_TASKS}")]


#: The action by which ECS reads a secret with the execution role.
READS = {"secretsmanager": "secretsmanager:GetSecretValue", "ssm": "ssm:GetParameters"}


def _may_read(iam: Any, secrets: Any, place: Place, role: str, secret: Reference) -> list[Finding]:
    """Check that the execution role may read a secret, by its own policies and boundary.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    if not secret.arn.startswith("arn:"):
        return []  # a parameter by its name: the ARN is not known here
    found = partial(_finding, "rights", secret.name)
    name = role.rsplit("/", 1)[-1]
    action = READS["ssm" if secret.is_parameter else "secretsmanager"]
    try:
        answer = iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=[action], ResourceArns=[secret.arn])
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return []  # the role's own check reports that
        raise
    if all(item["EvalDecision"] == "allowed" for item in answer["EvaluationResults"]):
        return [found(Verdict.OK, f"{name} may read it")]
    way = (
        f"make infra ENV={place.environment}"
        if secret.arn in _secrets_of_terraform(place.stack)
        else f"add {secret.arn} to app_secret_arns in {_inventory(place)}, then make deploy ENV={place.environment}"
    )
    # IAM does not simulate the secret's own policy, which may allow the role.
    if not secret.is_parameter and secrets.get_resource_policy(SecretId=secret.arn).get("ResourcePolicy"):
        return [found(Verdict.WARN, f"{name} may read it only if the secret's own policy says so")]
    return [found(Verdict.FAIL, f"{name} may not read it", way)]


def _log_groups(definitions: Sequence[Mapping[str, Any]]) -> list[str]:
    containers = [container for definition in definitions for container in definition["containerDefinitions"]]
    options = (item.get("logConfiguration", {}).get("options", {}) for item in containers)
    return list(dict.fromkeys(option["awslogs-group"] for option in options if "awslogs-group" in option))


def _log_group(logs: Any, place: Place, name: str) -> list[Finding]:
    # They are sorted by name, so the exact name comes before those that begin with it.
    groups = logs.describe_log_groups(logGroupNamePrefix=name, limit=1)["logGroups"]
    if [group["logGroupName"] for group in groups] != [name]:
        way = f"make infra ENV={place.environment}"
        return [_finding("logs", name, Verdict.FAIL, "there is no such log group, so no task could start", way)]
    return [_finding("logs", name, Verdict.OK, "is there")]


# -- load balancer and service -----------------------------------------------------------------------------------------


def _service(ecs: Any, stack: Stack) -> dict[str, Any] | None:
    """Return the service as ECS describes it, whatever its status; None if there is none."""
    answer = ecs.describe_services(cluster=stack.cluster_name, services=[stack.service_name])
    return answer["services"][0] if answer["services"] else None


def _target_group(elbv2: Any, wanted: Wanted, subject: str) -> list[Finding]:
    found = partial(_finding, "load balancer", subject)
    way = f"make infra ENV={wanted.environment}"
    arn = wanted.stack.target_group_arn
    try:
        groups = elbv2.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("TargetGroupNotFound", "TargetGroupNotFoundException"):
            return [found(Verdict.FAIL, "there is no such target group", way)]
        raise
    if groups[0].get("TargetType") != "ip":
        kind = groups[0].get("TargetType")
        return [found(Verdict.FAIL, f"its targets are of the type {kind}, and tasks on Fargate need ip", way)]
    return [found(Verdict.OK, "its targets are addresses, as tasks on Fargate need")]


def _service_findings(ecs: Any, wanted: Wanted) -> list[Finding]:
    name, way = wanted.stack.service_name, f"make infra ENV={wanted.environment}"
    service = _service(ecs, wanted.stack)
    if service is None or service["status"] != "ACTIVE":
        state = service["status"] if service else "missing"
        return [_finding("service", name, Verdict.FAIL, f"the service is {state}", way)]
    return [
        _registration(service, wanted, way),
        _finding("service", name, Verdict.OK, "ACTIVE"),
        _in_flight(ecs, service, wanted),
    ]


def _registration(service: Mapping[str, Any], wanted: Wanted, way: str) -> Finding:
    """Check that the service registers the rendered definition's container and port with our target group."""
    stack, definition = wanted.stack, wanted.definitions[0]
    found = partial(_finding, "service", "target group")
    entries = {entry.get("targetGroupArn"): entry for entry in service.get("loadBalancers") or []}
    entry = entries.get(stack.target_group_arn)
    if entry is None:
        known = ", ".join(str(arn) for arn in entries) or "none"
        return found(Verdict.FAIL, f"the service uses {known}, and not {stack.target_group_arn}", way)
    registers = (entry["containerName"], int(entry["containerPort"]))
    wants = (stack.container_name, stack.container_port)
    maps = {
        (container["name"], int(port["containerPort"]))
        for container in definition["containerDefinitions"]
        for port in container.get("portMappings") or []
    }
    if registers != wants or registers not in maps:
        mapped = ", ".join(f"{name}:{port}" for name, port in sorted(maps)) or "no port"
        reason = f"the service registers {registers[0]}:{registers[1]}, and the definition maps {mapped}"
        return found(Verdict.FAIL, reason, way)
    return found(Verdict.OK, f"the service registers {registers[0]}:{registers[1]}, which the definition maps")


def _in_flight(ecs: Any, service: Mapping[str, Any], wanted: Wanted) -> Finding:
    found = partial(_finding, "service", "deployment")
    primary = Snapshot(service=service, targets={}).primary
    if primary.rollout_state != "IN_PROGRESS":
        return found(Verdict.OK, "none is in flight")
    what = f"one of {primary.revision_name} is in flight ({primary.id})"
    runs = canonical(ecs.describe_task_definition(taskDefinition=primary.revision)["taskDefinition"])
    if wanted.image and runs == canonical(wanted.definitions[0]):
        return found(Verdict.OK, f"{what}: the wanted definition, so a release resumes it")
    if wanted.preview:
        return found(Verdict.WARN, f"{what}: a release waits for it to end")
    way = f"make status ENV={wanted.environment} until it has ended, then repeat the command"
    return found(Verdict.FAIL, f"{what}, and is not ours", way)


# -- alarms ------------------------------------------------------------------------------------------------------------


def _alarms(cloudwatch: Any, wanted: Wanted) -> list[Finding]:
    """Return a warning for each alarm: an alarm must not block the release that fixes its cause, nor a rollback."""
    prefix = wanted.stack.name_prefix
    found = [alarm for alarm in alarms(cloudwatch, prefix) if alarm.state == IN_ALARM]
    if not found:
        return [_finding("alarms", prefix, Verdict.OK, "none is in ALARM")]
    return [_finding("alarms", alarm.name, Verdict.WARN, f"in ALARM since {alarm.since:%F %T %Z}") for alarm in found]


def _finding(group: str, subject: str, verdict: Verdict, reason: str, way: str = "") -> Finding:
    return Finding(group=group, subject=subject, verdict=verdict, reason=reason, next_command=way)


def _inventory(place: Place) -> str:
    return f"inventory/{place.environment}/group_vars/all/app.yml"

"""Rules of the task: its size on Fargate, its environment variables and its secrets."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fargate_ops.core.application import Application
from fargate_ops.core.problem import Problem
from fargate_ops.ecs.task_definition import DATABASE_SECRETS, Image, Settings, release_variables, service_definition
from fargate_ops.inventory.capacity import POOL_VARIABLES
from fargate_ops.inventory.environment import Environment
from fargate_ops.inventory.kinds import listed
from fargate_ops.inventory.names import LOOKS_SECRET
from fargate_ops.terraform.stack import Stack

#: CPU units → the MiB of memory that Fargate offers for them.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
FARGATE_SIZES: Mapping[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}

#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html: "Task definition size".
_DEFINITION_BYTES = 64 * 1024
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_KEY = re.compile(r"[A-Za-z0-9_.-]+")
#: Variables that the SDKs use instead of the task role's credentials, and those that ECS sets.
#: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
_CREDENTIALS = re.compile(
    r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|SECURITY_TOKEN|(DEFAULT_)?PROFILE|ROLE_ARN|ROLE_SESSION_NAME"
    r"|WEB_IDENTITY_TOKEN_FILE|SHARED_CREDENTIALS_FILE|CONFIG_FILE|CREDENTIAL_EXPIRATION)"
)
_OF_ECS = re.compile(r"AWS_(EXECUTION_ENV|CONTAINER_\w+)|ECS_(CONTAINER_METADATA_URI(_V4)?|AGENT_URI)")
_ALLOWED_CONTROLS = frozenset("\t\n\r")
#: The longest possible values, for a task definition that no real one exceeds in size.
_LONG = "x" * 64
_ARN = f"arn:aws-us-gov:iam:ap-northeast-2:000000000000:role/{_LONG}"
_STACK = Stack(
    {
        "region": "ap-northeast-2",
        "cpu_architecture": "X86_64",
        "service_family": _LONG,
        "container_name": "api",
        "container_port": 8000,
        "execution_role_arn": _ARN,
        "task_role_arn": _ARN,
        "log_group_name": f"/ecs/{_LONG}",
        "app_database_secret_arn": _ARN,
        "database": {
            "host": f"{_LONG}.{_LONG}.rds.amazonaws.com",
            "port": 5432,
            "name": _LONG,
            "instance_identifier": _LONG,
        },
    },
    "",
)
_APPLICATION = Application(name=_LONG, port=8000, health_path="/")
_IMAGE = Image(version=_LONG, digest=f"sha256:{_LONG}", reference=f"{_LONG}{_LONG}@sha256:{_LONG}", schema_head=None)


def _size(environment: Environment) -> Iterator[Problem]:
    cpu = environment["app_cpu"]
    memories = FARGATE_SIZES.get(cpu)
    if memories is None:
        yield environment.problem("app_cpu", f"Fargate has no {cpu} CPU units.", f"choose of {listed(FARGATE_SIZES)}")
    elif environment["app_memory"] not in memories:
        what = f"Fargate has no {environment['app_memory']} MiB with {cpu} CPU units."
        yield environment.problem("app_memory", what, f"choose of {listed(memories)}")


def _names(environment: Environment) -> Iterator[Problem]:
    for variable in ("app_environment", "app_secrets"):
        spelled: dict[str, str] = {}
        for name in environment[variable]:
            if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
                what = f"{name!r} cannot be a variable's name: letters, digits and underscores, no digit first."
                yield environment.problem((variable, str(name)), what, "rename it")
                continue
            other = spelled.setdefault(name.upper(), name)
            if other != name:
                what = f"The application reads {other} and {name} as one setting."
                yield environment.problem((variable, name), what, "remove one of them")
            # The inventory may give these another secret.
            own = variable == "app_secrets" and name in DATABASE_SECRETS
            if not own and (why := _reserved(name, environment["app_database"])):
                yield environment.problem((variable, name), f"{name} is reserved: {why}.", "remove it")


def _reserved(name: str, database: bool) -> str:
    """Return why neither map may have this name; empty if it may. The pool's names have a rule of their own."""
    upper = name.upper()  # the application reads its settings' names in any case
    if upper in POOL_VARIABLES:
        return ""
    if upper in _released(database):
        return "a release sets it"
    if upper == "GIT_HASH":
        return "the image sets it, and its version document shows it to everybody"
    if _CREDENTIALS.fullmatch(upper):
        return "it would take the place of the task role's credentials"
    if _OF_ECS.fullmatch(upper):
        return "ECS sets it"
    return ""


def _released(database: bool) -> frozenset[str]:
    """Return the names that a release sets, taken from its own code."""
    application = replace(_APPLICATION, database=database)
    names = frozenset(release_variables(_STACK, application, _settings({}, {}), _IMAGE))
    return names | DATABASE_SECRETS.keys() if database else names


def _values(environment: Environment) -> Iterator[Problem]:
    plain = environment["app_plain_environment"]
    for name, value in environment["app_environment"].items():
        path = ("app_environment", str(name))
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            what = f"The value of {name} is {value}, neither text nor a number."
            yield environment.problem(path, what, "put it in quotes")
        elif isinstance(value, str) and (found := _unprintable(value)):
            what = f"The value of {name} has the control character {found}, which no environment variable takes."
            yield environment.problem(path, what, "remove it")
        reserved = _reserved(str(name), environment["app_database"])
        if LOOKS_SECRET.search(str(name)) and not reserved and name not in plain:
            yield environment.problem(
                path,
                f"{name} looks like a secret, and a task definition shows its environment in clear.",
                "keep it in Secrets Manager and name it in app_secrets; if it is none, declare that: "
                f"app_plain_environment: [{name}]",
            )


def _unprintable(value: str) -> str:
    for character in value:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in _ALLOWED_CONTROLS:
            return f"U+{ord(character):04X}"
    return ""


def _in_both(environment: Environment) -> Iterator[Problem]:
    secrets = {str(name).upper(): name for name in environment["app_secrets"]}
    for name in environment["app_environment"]:
        if secret := secrets.get(str(name).upper()):
            what = f"{secret} is in app_environment and in app_secrets, which ECS refuses."
            yield environment.problem(("app_environment", str(name)), what, "remove it from one", "app_secrets")


def _secrets(environment: Environment) -> Iterator[Problem]:
    for name, value in environment["app_secrets"].items():
        path = ("app_secrets", str(name))
        if not isinstance(value, str) or not (value.startswith("arn:") or _SECRET_KEY.fullmatch(value)):
            yield environment.problem(
                path,
                f"The value of {name} names no secret.",
                "give a key of the application's database secret, or the full ARN of a secret",
            )
        elif value.startswith("arn:"):
            yield from _secret_arn(environment, path, value)
        elif not environment["app_database"]:
            what = f"{name} takes the key {value} of the database's secret, and there is no database."
            yield environment.problem(path, what, "give the full ARN of a secret, or remove it", "app_database")


def _secret_arn(environment: Environment, path: tuple[str, str], value: str) -> Iterator[Problem]:
    """Check a `valueFrom`: ECS must accept its form, and the execution role must be able to read the secret.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html
    """
    parts, name = value.split(":"), path[1]
    if len(parts) not in (7, 10) or parts[2] != "secretsmanager" or parts[5] != "secret":
        what = f"The value of {name} is {value}, which is no ARN of a secret in Secrets Manager as ECS takes it."
        next_step = "give <arn of the secret>, or <arn of the secret>:<JSON key>:<stage>:<version id> with empty parts"
        yield environment.problem(path, what, next_step)
        return
    arn, secret = ":".join(parts[:7]), parts[6]
    database = f"{environment['app_name']}-{environment['env_name']}/database/app-"
    if arn not in environment["app_secret_arns"] and not secret.startswith(database):
        what = f"{name} takes {arn}, which app_secret_arns does not have, so the execution role may not read it."
        yield environment.problem(path, what, f"add it: app_secret_arns: [{arn}]", "app_secret_arns")


def _secret_partitions(environment: Environment) -> Iterator[Problem]:
    region = environment["aws_region"]
    beginnings = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    partition = next((name for beginning, name in beginnings.items() if region.startswith(beginning)), "aws")
    for arn in environment["app_secret_arns"]:
        if arn.split(":")[1] != partition:
            what = f"{arn} is of the partition {arn.split(':')[1]}, and {region} of {partition}."
            yield environment.problem("app_secret_arns", what, "name a secret that this environment can read")


def _definition_size(environment: Environment) -> Iterator[Problem]:
    plain = {str(name): str(value) for name, value in environment["app_environment"].items()}
    secrets = {str(name): str(value) for name, value in environment["app_secrets"].items()}
    settings = _settings(plain, secrets, environment["app_execute_command"])
    application = replace(_APPLICATION, database=environment["app_database"])
    # All but ASCII is escaped, as the SDK sends it.
    size = len(json.dumps(service_definition(_STACK, application, settings, _IMAGE)))
    if size > _DEFINITION_BYTES:
        yield environment.problem(
            "app_environment",
            f"The task definition would have about {size:,} bytes, and ECS takes {_DEFINITION_BYTES:,}.",
            f"shorten app_environment and app_secrets by {size - _DEFINITION_BYTES:,} bytes: a file in the image or in "
            "S3 takes what is long",
            "app_secrets",
        )


def _settings(plain: Mapping[str, str], secrets: Mapping[str, str], execute_command: bool = False) -> Settings:
    return Settings(
        execute_command=execute_command,
        cpu=16384,
        memory=122880,
        workers=0,
        pool_size=0,
        max_overflow=0,
        environment=plain,
        secrets=secrets,
        admin_environment={},
    )


RULES = (_size, _names, _values, _in_both, _secrets, _secret_partitions, _definition_size)

"""Rules of names: those of the environment and the application, and the AWS names built from them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fargate_ops.core.problem import Problem
from fargate_ops.inventory.environment import Environment

#: For <app_name>-<env_name>: a target group's name has at most 32, with "-api". terraform/variables.tf has the same.
#: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateTargetGroup.html
NAME_CHARACTERS = 28
#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_REPOSITORY_CHARACTERS = 2
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET_CHARACTERS = 63
_BUCKET = re.compile(
    r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
    r"(?<!-s3alias)(?<!--ol-s3)(?<!\.mrap)(?<!--x-s3)(?<!--table-s3)"
)
#: Beginnings that AWS refuses, and for which names.
#: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html
#: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
_REFUSED_BEGINNINGS = {"internal-": "a load balancer's", "sg-": "a security group's"}
#: Names of the account's own state, lock and resources. No environment may have them.
_RESERVED = frozenset({"account"})

#: Names of variables whose value is probably a secret.
LOOKS_SECRET = re.compile(r"PASSW|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(API|ACCESS|PRIVATE)_?KEY", re.IGNORECASE)

#: https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html
_TAG_KEY, _TAG_VALUE = re.compile(r"[\w\s.:/=+@-]{1,128}"), re.compile(r"[\w\s.:/=+@-]{0,256}")
_TAGS = 50
#: Neither a key nor a value may begin with these, in any case: ECS's and RDS's resources have the tags as well.
#: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tag.html
#: https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_Tag.html
_RESERVED_TAGS = ("aws:", "rds:")
#: Tags that Terraform sets itself, in terraform/provider.tf and the modules.
_OWN_TAGS = ("Application", "Environment", "ManagedBy", "Name")


def _folder(environment: Environment) -> Iterator[Problem]:
    folder, name = environment["preflight_inventory_dir"].rstrip("/").rpartition("/")[2], environment["env_name"]
    if folder != name:
        what = f"The inventory in the folder {folder} calls itself {name}."
        yield environment.problem("env_name", what, f"set env_name: {folder}")


def _environment_name(environment: Environment) -> Iterator[Problem]:
    name = environment["env_name"]
    if name in _RESERVED:
        what = f"env_name is {name}, which is the name of the account's own state and resources."
        yield environment.problem("env_name", what, "choose another, and rename the folder")


def _joined(environment: Environment) -> Iterator[Problem]:
    app, name = environment["app_name"], f"{environment['app_name']}-{environment['env_name']}"
    if len(app) < _REPOSITORY_CHARACTERS:
        what = f"app_name is {app!r}. An image repository's name has {_REPOSITORY_CHARACTERS} characters or more."
        yield environment.problem("app_name", what, "choose a longer one")
    if len(name) > NAME_CHARACTERS:
        what = (
            f"app_name and env_name, joined by a hyphen, may have {NAME_CHARACTERS} characters, since a target group's "
            f"name has 32. {name} has {len(name)}."
        )
        yield environment.problem("app_name", what, f"shorten them by {len(name) - NAME_CHARACTERS}", "env_name")
    for beginning, whose in _REFUSED_BEGINNINGS.items():
        if name.startswith(beginning):
            what = f"app_name is {app!r}. AWS refuses {beginning} at the beginning of {whose} name, here {name}."
            yield environment.problem("app_name", what, "choose another")


def _buckets(environment: Environment) -> Iterator[Problem]:
    app, name = environment["app_name"], f"{environment['app_name']}-{environment['env_name']}"
    buckets = {"state": ("app_name", environment["state_bucket"])}
    if environment["detection_enabled"]:
        buckets["AWS Config"] = ("app_name", environment["config_delivery_bucket"])
    if environment["alb_access_logs"]:
        logs = f"{name}-alb-logs-{environment['aws_account_id']}-{environment['aws_region']}"
        buckets["the load balancer's access logs"] = ("env_name", logs)
    for what, (variable, bucket) in buckets.items():
        if len(bucket) > _BUCKET_CHARACTERS:
            yield environment.problem(
                "app_name",
                f"The bucket of {what} would be named {bucket}: {len(bucket)} characters, and S3 takes "
                f"{_BUCKET_CHARACTERS}.",
                f"shorten {'app_name' if variable == 'app_name' else 'app_name or env_name'} by "
                f"{len(bucket) - _BUCKET_CHARACTERS}",
                *(() if variable == "app_name" else (variable,)),
            )
        elif not _BUCKET.fullmatch(bucket):
            what = f"The bucket of {what} would be named {bucket}, which S3 refuses."
            yield environment.problem("app_name", what, f"choose another app_name than {app}")


def _tags(environment: Environment) -> Iterator[Problem]:
    tags = environment["aws_tags"]
    own = {name.lower(): name for name in _OWN_TAGS}
    for key, value in tags.items():
        path = ("aws_tags", str(key))
        if not isinstance(key, str) or not _TAG_KEY.fullmatch(key) or key.lower().startswith(_RESERVED_TAGS):
            what = (
                f"{key!r} cannot be a tag's key: up to 128 letters, digits, spaces and . : / = + @ _ -, not aws: or "
                "rds: first."
            )
            yield environment.problem(path, what, "rename it")
        elif key.lower() in own:
            what = f"Terraform sets the tag {own[key.lower()]} itself, and IAM takes no second spelling of it."
            yield environment.problem(path, what, "remove it")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            yield environment.problem(path, f"The value of the tag {key} is {value}, not text.", "put it in quotes")
        elif not _TAG_VALUE.fullmatch(str(value)):
            what = f"AWS refuses the tag {key}: a value has at most 256 letters, digits, spaces and . : / = + @ _ -."
            yield environment.problem(path, what, "shorten or rewrite it")
        elif str(value).lower().startswith(_RESERVED_TAGS):
            what = f"AWS refuses the tag {key}: its value {value} begins with aws: or rds:, which AWS reserves."
            yield environment.problem(path, what, "rewrite it")
    if len(tags) + len(_OWN_TAGS) > _TAGS:
        what = f"There are {len(tags)} tags, and AWS takes {_TAGS} with the {len(_OWN_TAGS)} of Terraform's."
        yield environment.problem("aws_tags", what, "remove some")


RULES = (_folder, _environment_name, _joined, _buckets, _tags)

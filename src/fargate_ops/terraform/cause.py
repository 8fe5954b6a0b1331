"""Compare the inventory's values with those of the last complete apply, by the inventory's names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError
from jinja2 import Environment, nodes

from fargate_ops.aws.errors import NO_OBJECT


def record_key(state_key: str) -> str:
    """Return the key of the object beside the state that stores the variables of the last complete apply."""
    return state_key.removesuffix(".tfstate") + ".tfvars.json"


def read_record(s3: Any, bucket: str, state_key: str) -> dict[str, Any] | None:
    """Return the variables of the last complete apply, or None if none were recorded."""
    try:
        recorded = json.loads(s3.get_object(Bucket=bucket, Key=record_key(state_key))["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in NO_OBJECT:
            return None
        raise
    except ValueError:
        return None
    return recorded if isinstance(recorded, dict) else None


def write_record(s3: Any, bucket: str, state_key: str, variables: Mapping[str, Any]) -> None:
    """Record `variables` as those of the last complete apply, unless they are recorded already."""
    if read_record(s3, bucket, state_key) != variables:
        body = json.dumps(variables, indent=2, sort_keys=True).encode()
        s3.put_object(Bucket=bucket, Key=record_key(state_key), Body=body, ContentType="application/json")


def inventory_names(raw: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the inventory's variables by the variable of Terraform that is derived from them.

    For example ``{"permissions_boundary_arn": "github_boundary_arn, github_repository"}``. A setting that Terraform
    takes under its own name is left out. `raw` are Ansible's variables before templating. `name` is the one with
    Terraform's variables: a mapping whose values name the inventory's variables, or a template with such mappings.
    """
    value = raw.get(name)
    if isinstance(value, Mapping):
        return {key: ", ".join(_names(raw, expression)) or key for key, expression in value.items()}
    found: dict[str, str] = {}
    for part in _names(raw, value):
        found |= inventory_names(raw, part)
    return found


def differences(before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    """Return a line for each value that differs: ``network_nat_gateways: was "single", is "per_az"``.

    Mappings are compared key by key. `names` are the inventory's names of the top-level keys.
    """
    for key in sorted({*before, *after}):
        name = names.get(key, key)
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, {part: f"{name}.{part}" for part in {*old, *new}})
        elif key not in after:
            yield f"{name}: was {_shown(old)}, is no longer set"
        elif key not in before:
            yield f"{name}: was not set, is {_shown(new)}"
        else:
            yield f"{name}: was {_shown(old)}, is {_shown(new)}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _names(raw: Mapping[str, Any], expression: Any) -> list[str]:
    """Return the Ansible variables that a template uses."""
    if not isinstance(expression, str):
        return []
    template = Environment(autoescape=True).parse(expression)
    return sorted({node.name for node in template.find_all(nodes.Name)} & raw.keys())

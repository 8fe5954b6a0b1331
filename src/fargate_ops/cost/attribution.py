"""The owner of a resource by its tags, its address in the Terraform state, and the change to make."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fargate_ops.cost.api import Scope, everything
from fargate_ops.cost.recommendations import REMOVAL, Change, Recommendation, tags_of

#: (resource type, argument) → (file in inventory/<env>/group_vars/all/, variable).
VARIABLES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("aws_db_instance", "instance_class"): ("database.yml", "database_instance_class"),
    ("aws_ecs_service", "cpu"): ("app.yml", "app_cpu"),
    ("aws_ecs_service", "memory"): ("app.yml", "app_memory"),
}

UNTAGGED = "unknown (no tag)"


def read_tags(scope: Scope) -> dict[str, dict[str, str]]:
    """Return the tags of all tagged resources by ARN; some services do not list them with their resources."""
    client = scope.client("resourcegroupstaggingapi")
    found = scope.all_of("tags", everything(client, "get_resources", "ResourceTagMappingList"))
    return {item["ResourceARN"]: tags_of(item["Tags"]) for item in found}


def read_addresses(scope: Scope, states: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return ``{ARN or identifier: address}`` of all resources in the states (``{"bucket": …, "key": …}``)."""
    client = scope.client("s3")
    found: dict[str, str] = {}
    for state in states:
        where = f"s3://{state['bucket']}/{state['key']}"

        def body(state: Mapping[str, str] = state) -> bytes:
            return bytes(client.get_object(Bucket=state["bucket"], Key=state["key"])["Body"].read())

        content = scope.one(f"Terraform addresses of {where}", body)
        if content is not None:
            found.update(addresses(json.loads(content)))
    return found


def addresses(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses in a state of version 4: https://developer.hashicorp.com/terraform/internals/json-format"""
    return {name: address for resource in state.get("resources", []) for name, address in _addresses(resource)}


def _addresses(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if resource.get("mode") != "managed":
        return
    base = ".".join(filter(None, [resource.get("module"), resource["type"], resource["name"]]))
    for instance in resource["instances"]:
        key = instance.get("index_key")
        address = base if key is None else f"{base}[{json.dumps(key)}]"
        attributes = instance.get("attributes") or {}
        if arn := attributes.get("arn"):
            yield str(arn).removesuffix(":*"), address
        # Older providers record no ARN for some network resources; their identifiers are unique.
        identifier = str(attributes.get("id") or "")
        if identifier.startswith(("arn:", "vol-", "eipalloc-", "nat-", "vpce-", "i-")):
            yield identifier, address


def attribute(
    recommendations: Iterable[Recommendation],
    *,
    tags: Mapping[str, Mapping[str, str]],
    addresses: Mapping[str, str],
    owner_tags: Sequence[str],
    environment: str,
) -> list[Recommendation]:
    """Add owner, address and the change: of the inventory if a variable controls it."""
    done = []
    for recommendation in recommendations:
        known = {**tags.get(recommendation.arn, {}), **recommendation.tags}
        address = addresses.get(recommendation.arn) or addresses.get(recommendation.arn.rsplit("/", 1)[-1], "")
        done.append(
            replace(
                recommendation,
                owner=owner(known, owner_tags),
                address=address,
                change=change_of(recommendation, address, environment),
            )
        )
    return done


def owner(tags: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the value of the first non-empty tag of `names`, ignoring case."""
    known = {key.lower(): (key, value) for key, value in tags.items() if value}
    for name in names:
        if name.lower() in known:
            key, value = known[name.lower()]
            return value if name == names[0] else f"{value} ({key})"
    return UNTAGGED


def change_of(recommendation: Recommendation, address: str, environment: str) -> str:
    """Return a diff of the inventory or Terraform resource if this project manages it, else a command."""
    if not address:
        return recommendation.command
    if recommendation.aspect == REMOVAL:
        return f"# Terraform, then make infra ENV={environment}\n- {address}"
    if not recommendation.changes:
        return f"{recommendation.command}\n# ours: {address}"
    kind = _type(address)
    blocks: dict[str, list[Change]] = {}
    for change in recommendation.changes:
        file, name = VARIABLES.get((kind, change.name), ("", change.name))
        title = f"inventory/{environment}/group_vars/all/{file}" if file else f"{address} (Terraform)"
        blocks.setdefault(title, []).append(replace(change, name=name))
    lines = []
    for title, changes in blocks.items():
        sign = ":" if title.startswith("inventory/") else " ="
        lines.append(f"# {title}")
        for change in changes:
            lines += [f"- {change.name}{sign} {change.before}", f"+ {change.name}{sign} {change.after}"]
    return "\n".join(lines)


def _type(address: str) -> str:
    """``module.rds.aws_db_instance.this[0]`` → ``aws_db_instance``."""
    return next((part for part in address.split(".") if part.startswith("aws_")), "")

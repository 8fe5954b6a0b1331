"""Whose a resource is: its owner by tags, its Terraform address by the state, and its change where it is ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fargate_ops.cost.api import Scope, everything
from fargate_ops.cost.recommendations import REMOVAL, Change, Recommendation, tags_of

#: Where a setting of a resource of ours has its home: file below inventory/<env>/group_vars/all/, and variable.
VARIABLES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("aws_db_instance", "instance_class"): ("database.yml", "database_instance_class"),
    ("aws_ecs_service", "cpu"): ("app.yml", "app_cpu"),
    ("aws_ecs_service", "memory"): ("app.yml", "app_memory"),
}

NOBODY = "nobody (no tag)"


def read_tags(scope: Scope) -> dict[str, dict[str, str]]:
    """The tags of everything that has some, by ARN: some services do not show them beside their resources."""
    client = scope.client("resourcegroupstaggingapi")
    found = scope.all_of("tags", everything(client, "get_resources", "ResourceTagMappingList"))
    return {item["ResourceARN"]: tags_of(item["Tags"]) for item in found}


def read_addresses(scope: Scope, states: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """``{arn or identifier: address}`` of all that the states (``{"bucket": …, "key": …}``) hold."""
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
    """Of a state of format 4: https://developer.hashicorp.com/terraform/internals/json-format"""
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
        # An address of the network has an ARN of its own only in newer providers; its identifier is unique.
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
    """The recommendations with owner, address and the change in words: of the inventory where a variable says it."""
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
    """The first of the tags `names` that says something, in whatever case."""
    known = {key.lower(): (key, value) for key, value in tags.items() if value}
    for name in names:
        if name.lower() in known:
            key, value = known[name.lower()]
            return value if name == names[0] else f"{value} ({key})"
    return NOBODY


def change_of(recommendation: Recommendation, address: str, environment: str) -> str:
    """A diff of the inventory or of the resource where it is ours; else the command that does it."""
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
    """``aws_db_instance`` of ``module.rds.aws_db_instance.this[0]``."""
    return next((part for part in address.split(".") if part.startswith("aws_")), "")

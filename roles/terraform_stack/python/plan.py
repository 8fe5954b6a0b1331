"""Reads a Terraform plan (``terraform show -json``) and says what it would do, and whether that is allowed.

Format: https://developer.hashicorp.com/terraform/internals/json-format#plan-representation
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Changing one of these restarts the resource, now or in its maintenance window.
RESTARTING_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "aws_db_instance": frozenset(
        {
            "ca_cert_identifier",
            "engine_version",
            "instance_class",
            "multi_az",
            "network_type",
            "parameter_group_name",
            "port",
            "storage_type",
        }
    ),
}

VERBS = {
    ("create",): "create",
    ("update",): "update",
    ("delete",): "destroy",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
}
SIGNS = {"create": "+", "update": "~", "destroy": "-", "replace": "-/+", "forget": "."}


@dataclass(frozen=True)
class Change:
    """What a plan does to one managed resource."""

    address: str
    type: str
    verb: str
    arguments: tuple[str, ...]  # the top-level arguments that differ; empty unless the verb is `update`

    @property
    def restarts(self) -> bool:
        return self.verb == "update" and bool(RESTARTING_ARGUMENTS.get(self.type, frozenset()) & set(self.arguments))

    def line(self) -> str:
        """``~ module.rds.aws_db_instance.this (instance_class; restarts it)``"""
        notes = ", ".join(self.arguments) + ("; restarts it" if self.restarts else "")
        return f"{SIGNS[self.verb]} {self.address}" + (f" ({notes})" if notes else "")


@dataclass(frozen=True)
class Plan:
    changes: tuple[Change, ...]
    outputs: tuple[str, ...]  # the root outputs whose value changes

    @property
    def empty(self) -> bool:
        return not self.changes and not self.outputs

    def summary(self) -> str:
        """``create 62, update 1`` or ``no change``; the outputs are named when they alone change."""
        if self.empty:
            return "no change"
        if not self.changes:
            return "outputs only: " + ", ".join(self.outputs)
        verbs = Counter(change.verb for change in self.changes)
        return ", ".join(f"{verb} {verbs[verb]}" for verb in SIGNS if verbs[verb])


def nothing_to_apply(output: str) -> bool:
    """Whether ``terraform plan`` said so, in its own words: neither resources nor outputs differ."""
    return re.search(r"^No changes\. Your infrastructure", output, re.MULTILINE) is not None


def read_plan(document: Mapping[str, Any]) -> Plan:
    """The changes of a plan's JSON document. No-ops, reads and moves without a change are left out."""
    changes = []
    for resource in document.get("resource_changes", []):
        change = resource["change"]
        verb = VERBS.get(tuple(change["actions"]))
        if resource.get("mode") != "managed" or verb is None:
            continue
        changes.append(Change(resource["address"], resource["type"], verb, _differing(change, verb)))
    outputs = (name for name, change in document.get("output_changes", {}).items() if change["actions"] != ["no-op"])
    return Plan(tuple(changes), tuple(sorted(outputs)))


def refusals(plan: Plan, protected_types: Iterable[str], allowed: Sequence[str]) -> list[str]:
    """Why the plan must not be applied, a line for each resource; empty when it may.

    `protected_types` may be neither destroyed, replaced nor restarted unless `allowed` names the address or the type.
    """
    protected = frozenset(protected_types)
    found = []
    for change in plan.changes:
        if change.type not in protected or change.address in allowed or change.type in allowed:
            continue
        if change.verb in {"destroy", "replace"}:
            found.append(f"would {change.verb} {change.address}")
        elif change.restarts:
            found.append(f"would restart {change.address} ({', '.join(change.arguments)})")
    return found


def _differing(change: Mapping[str, Any], verb: str) -> tuple[str, ...]:
    if verb != "update":
        return ()
    before, after, unknown = change["before"] or {}, change["after"] or {}, change.get("after_unknown") or {}
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return tuple(sorted(names | {name for name, value in unknown.items() if value is True and name not in after}))

"""Read a Terraform plan (``terraform show -json``): its changes, and whether they are allowed.

Format: https://developer.hashicorp.com/terraform/internals/json-format#plan-representation
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fargate_ops.core.problem import Problem
from fargate_ops.cost.plan_cost import Resource

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

#: Types whose destruction loses data, or that cannot be replaced while others depend on them, with the alternative.
INSTEAD: Mapping[str, str] = {
    "aws_db_instance": "its data would be lost; put them into another database that serves instead (make restore)",
    "aws_ecr_repository": "its images would be lost, which rollbacks need; copy them to another registry",
    "aws_lb_listener_rule": "all requests begin at the first target group again; release until the tasks are there",
    "aws_s3_bucket": "its objects would be lost; copy them (aws s3 sync)",
    "aws_secretsmanager_secret": "its value would be lost; copy it (aws secretsmanager get-secret-value)",
    "aws_vpc": "AWS refuses it while tasks and database run there; make another environment (make new-env)",
}

#: An environment's first database, which a plan destroys only if app_database is false.
DATABASE = "module.rds[0].aws_db_instance.this"

VERBS = {
    ("create",): "create",
    ("update",): "update",
    ("delete",): "destroy",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
}
SIGNS = {"create": "+", "update": "~", "destroy": "-", "replace": "-/+", "forget": "."}

#: Up to this number of changes, an apply shows them all.
SHORT = 5


@dataclass(frozen=True)
class Change:
    """A plan's change of one managed resource."""

    address: str
    type: str
    verb: str
    arguments: tuple[str, ...] = ()  # top-level arguments: those that an update changes, or that force a replacement
    keeps_snapshot: bool = False  # whether AWS takes a final snapshot when the resource is destroyed
    engine: tuple[int, int] | None = None  # a database's major version before and after, where it changes
    at_once: bool = True  # whether the database changes at once, not in its maintenance window

    @property
    def destroys(self) -> bool:
        return self.verb in {"destroy", "replace"}

    @property
    def instead(self) -> str:
        """What to do instead, or an empty string if only permission is missing.

        A replaced database is empty, even if a snapshot of the old one is kept.
        """
        kept = self.keeps_snapshot and self.verb == "destroy"
        return INSTEAD.get(self.type, "") if self.destroys and not kept else ""

    @property
    def restarts(self) -> bool:
        return self.verb == "update" and bool(RESTARTING_ARGUMENTS.get(self.type, frozenset()) & set(self.arguments))

    @property
    def endangers(self) -> bool:
        """Whether it needs permission for a resource of a protected type."""
        return self.destroys or self.restarts

    @property
    def impossible(self) -> str:
        """What must change before AWS can do this, or an empty string. No permission helps."""
        if self.engine is None:
            return ""
        before, after = self.engine
        if after < before:
            return (
                f"RDS cannot go back from PostgreSQL {before} to {after}; set database_engine_version: {before}, "
                "and see docs/runbooks/database_upgrade.md for the way back to the data"
            )
        if not self.at_once:
            return (
                "the parameter group of the old version is in use until the upgrade, and could not be deleted; "
                "set database_apply_immediately: true"
            )
        return ""

    def permitted(self, allowed: Iterable[str]) -> bool:
        """Return whether `allowed` names the address, with or without its quotation marks, or the type."""
        return not {unquoted(name) for name in allowed}.isdisjoint({unquoted(self.address), self.type})

    def line(self) -> str:
        """``~ module.rds[0].aws_db_instance.this (instance_class; restarts it)``"""
        effect = self._upgrade("; upgrades it") or ("; restarts it" if self.restarts else "")
        notes = ", ".join(self.arguments) + effect
        return f"{SIGNS[self.verb]} {self.address}" + (f" ({notes})" if notes else "")

    def _upgrade(self, words: str) -> str:
        return f"{words} from PostgreSQL {self.engine[0]} to {self.engine[1]}" if self.engine else ""

    def refused_line(self) -> str:
        """``restart module.rds[0].aws_db_instance.this (instance_class)``"""
        if self.engine:
            return self._upgrade(f"upgrade {self.address}")
        return f"{'restart' if self.restarts else self.verb} {self.address}" + (
            f" ({', '.join(self.arguments)})" if self.arguments else ""
        )


@dataclass(frozen=True)
class Plan:
    changes: tuple[Change, ...]
    outputs: tuple[str, ...]  # the root outputs whose value changes
    complete: bool = True  # false when it covers a part of the configuration only, as with -target

    @property
    def empty(self) -> bool:
        return not self.changes and not self.outputs

    def brief(self, allowed: Iterable[str]) -> list[str]:
        """Return a line for each change of a short plan; of a long one, for what is lost, restarts or is permitted."""
        return [
            change.line() + ("  permitted" if change.permitted(allowed) else "")
            for change in self.changes
            if len(self.changes) <= SHORT or change.endangers or change.verb == "forget" or change.permitted(allowed)
        ]

    def summary(self) -> str:
        """``create 62, update 1`` or ``no change``; outputs are named if nothing else changes."""
        if self.empty:
            return "no change"
        if not self.changes:
            return "outputs only: " + ", ".join(self.outputs)
        verbs = Counter(change.verb for change in self.changes)
        return ", ".join(f"{verb} {verbs[verb]}" for verb in SIGNS if verbs[verb])


def nothing_to_apply(output: str) -> bool:
    """Return whether ``terraform plan`` reported that neither resources nor outputs differ."""
    return re.search(r"^No changes\. Your infrastructure", output, re.MULTILINE) is not None


def planned(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return the managed resources that a plan changes, each after its verb."""
    for resource in document.get("resource_changes", []):
        verb = VERBS.get(tuple(resource["change"]["actions"]))
        if resource.get("mode") == "managed" and verb is not None:
            yield verb, resource


def resources(document: Mapping[str, Any]) -> list[Resource]:
    """Return the resources that a plan changes, as their cost needs them. AWS keeps what the state only forgets."""
    return [
        Resource(
            address=resource["address"],
            type=resource["type"],
            before=resource["change"].get("before"),
            after=resource["change"].get("before" if verb == "forget" else "after"),
        )
        for verb, resource in planned(document)
    ]


def read_plan(document: Mapping[str, Any]) -> Plan:
    """Return the changes of a plan's JSON document, without no-ops, reads and moves that change nothing."""
    changes = []
    for verb, resource in planned(document):
        change = resource["change"]
        keeps_snapshot = (change.get("before") or {}).get("skip_final_snapshot") is False
        after = change.get("after") or {}
        changes.append(
            Change(
                resource["address"],
                resource["type"],
                verb,
                _arguments(change, verb),
                keeps_snapshot,
                _engine(resource["type"], change) if verb == "update" else None,
                after.get("apply_immediately") is not False,
            )
        )
    outputs = (name for name, change in document.get("output_changes", {}).items() if change["actions"] != ["no-op"])
    return Plan(tuple(changes), tuple(sorted(outputs)), document.get("complete") is not False)


def refused(plan: Plan, protected_types: Iterable[str], allowed: Iterable[str]) -> list[Change]:
    """Return the changes for which the plan must not be applied; empty if it may be applied.

    `protected_types` may be neither destroyed, replaced nor restarted unless `allowed` names the address or the type.
    The quotation marks of an address may be omitted. Changes that AWS cannot make are always refused.
    """
    protected = frozenset(protected_types)
    return [
        change
        for change in plan.changes
        if change.impossible or (change.type in protected and change.endangers and not change.permitted(allowed))
    ]


def refusal(changes: Sequence[Change], command: str, causes: Sequence[str]) -> Problem:
    """Return the refusal of these changes. `command` runs the flow again; `causes` are the inventory's differences."""
    lines = [change.refused_line() for change in changes]
    instead = [f"{change.address}: {change.instead}" for change in changes if change.instead]
    impossible = [f"{change.address}: {change.impossible}" for change in changes if change.impossible]
    if impossible:
        next_step = "\n         ".join(["undo that change, or correct it:", *impossible])
    elif instead:
        rule = "undo that change. What is meant all the same is named in terraform_stack_allow, after this:"
        next_step = "\n         ".join([rule, *instead])
    else:
        first = "take a snapshot (docs/runbooks/database_upgrade.md) and " if any(c.engine for c in changes) else ""
        next_step = f"undo that change, or {first}permit it: {command} ARGS='{permission(changes)}'"
    return Problem(
        "\n  ".join(["Nothing was applied: other resources or clients depend on what the plan would", *lines]),
        "\n         ".join(causes),
        next_step,
    )


def without_database(changes: Sequence[Change], environment: str) -> str:
    """Return the steps that turn an environment's database off; empty if these changes do not destroy it.

    AWS refuses to delete a protected database. Tasks that still use it are replaced before it is gone.
    """
    database = next((change for change in changes if change.address == DATABASE and change.verb == "destroy"), None)
    if database is None:
        return ""
    data = "are in its final snapshot then" if database.keeps_snapshot else "are lost then"
    return "\n         ".join(
        [
            f"set app_database: true; or, to turn the database off for good (its data {data}), in this order:",
            f"with app_database: true and deletion_protection: false: make infra ENV={environment}",
            f"with app_database: false, so that no task uses it any more: make release ENV={environment}",
            f"make deploy ENV={environment} ARGS='{permission(changes)}'",
        ]
    )


def permission(changes: Iterable[Change]) -> str:
    """Return the option of ansible-playbook that permits these changes; it needs no quotation marks in any shell."""
    return f"-e terraform_stack_allow={','.join(unquoted(change.address) for change in changes)}"


def unquoted(address: str) -> str:
    """``aws_subnet.public[ap-northeast-2a]`` of ``aws_subnet.public["ap-northeast-2a"]``."""
    return address.replace('"', "")


def _engine(type_: str, change: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the major versions of a database before and after an update; None if they are the same or unknown."""
    if type_ != "aws_db_instance":
        return None
    texts = [str((change[side] or {}).get("engine_version")).partition(".")[0] for side in ("before", "after")]
    if not all(text.isdecimal() for text in texts) or texts[0] == texts[1]:
        return None
    return int(texts[0]), int(texts[1])


def _arguments(change: Mapping[str, Any], verb: str) -> tuple[str, ...]:
    if verb == "replace":
        return tuple(sorted({str(path[0]) for path in change.get("replace_paths", [])}))
    if verb != "update":
        return ()
    before, after, unknown = change["before"] or {}, change["after"] or {}, change.get("after_unknown") or {}
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return tuple(sorted(names | {name for name, value in unknown.items() if value is True and name not in after}))

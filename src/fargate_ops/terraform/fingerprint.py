"""What of a Terraform plan an approval covers: addresses, actions and the planned values of changed arguments.

Two plans of the same configuration are equal here even if AWS changed computed values in between. So values of before
the plan, values that are known only after the apply, outputs and the plan's section ``resource_drift`` are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fargate_ops.core.approved_plan import Section, hashed
from fargate_ops.terraform.plan import planned

_SENSITIVE = "(sensitive)"


def section(document: Mapping[str, Any]) -> Section:
    """Return the changes of a plan's JSON document, by action and address, each with the hashes of its arguments."""
    return {
        f"{verb} {resource['address']}": _arguments(resource["change"], verb) for verb, resource in planned(document)
    }


def _arguments(change: Mapping[str, Any], verb: str) -> dict[str, str]:
    before, after = (change.get(side) or {} for side in ("before", "after"))
    secret = change.get("after_sensitive") or {}
    names = {name for name, value in after.items() if value not in (None, [], {})}
    if verb == "update":
        names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    # Computed: absent in the plan, because only the apply sets it.
    unknown = {name for name, value in (change.get("after_unknown") or {}).items() if value is True}
    return {
        name: hashed(_without_secrets(after.get(name), secret.get(name, False))) for name in sorted(names - unknown)
    }


def _without_secrets(value: Any, secret: Any) -> Any:
    """Return a value whose sensitive parts are replaced by one word. `secret` marks them, in the value's own form."""
    if secret is True:
        return _SENSITIVE
    if isinstance(value, Mapping) and isinstance(secret, Mapping):
        return {key: _without_secrets(item, secret.get(key, False)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(secret, list):
        return [_without_secrets(item, mark) for item, mark in zip(value, secret, strict=False)]
    return value

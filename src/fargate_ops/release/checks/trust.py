"""Read from a trust policy who may assume an IAM role."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

ECS_TASKS = "ecs-tasks.amazonaws.com"


def trusts(policy: Mapping[str, Any], service: str = ECS_TASKS) -> bool:
    """Return whether a trust policy lets a service assume the role. Conditions are not evaluated.

    Statement, action and service are each one value or a list. Actions have wildcards and ignore case. A ``Deny``
    without a condition wins: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    statements = [
        statement
        for statement in _listed(policy.get("Statement"))
        if service in _services(statement.get("Principal"))
        and any(fnmatchcase("sts:assumerole", str(action).lower()) for action in _listed(statement.get("Action")))
    ]
    denied = any(item.get("Effect") == "Deny" and not item.get("Condition") for item in statements)
    return not denied and any(item.get("Effect") == "Allow" for item in statements)


def _services(principal: Any) -> list[Any]:
    return _listed(principal.get("Service")) if isinstance(principal, Mapping) else []


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]

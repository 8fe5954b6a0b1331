"""Whether IAM would allow a call: trust, permission and resource policies and boundaries, as Terraform renders them.

IAM's own order: an explicit Deny wins; then one Allow is needed of the policies, and one of the boundary where there is
one. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
What is not known here (an operator, an element) is an error, never a yes or a no.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Policy = Mapping[str, Any]

_ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "Condition"}


@dataclass(frozen=True)
class Call:
    """One request: the action, the resource's ARN, and the context by IAM's condition keys."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)
    principal: str | None = None


@dataclass(frozen=True)
class Identity:
    """A role: who may take it, what it may do, and its ceiling."""

    trust: Policy
    policies: Sequence[Policy]
    boundary: Policy | None = None

    def allows(self, call: Call) -> bool:
        ceilings = [self.policies, *([[self.boundary]] if self.boundary else [])]
        return all(allows(ceiling, call) for ceiling in ceilings)

    def trusts(self, call: Call) -> bool:
        return allows([self.trust], call)


def allows(policies: Iterable[Policy], call: Call) -> bool:
    """Whether these policies together allow the call."""
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in listed(policy["Statement"])
        if _applies(statement, call)
    }
    return effects == {"Allow"}


def _applies(statement: Mapping[str, Any], call: Call) -> bool:
    if unknown := set(statement) - _ELEMENTS:
        raise ValueError(f"a statement with {unknown}")
    if call.principal is not None and call.principal not in _principals(statement["Principal"]):
        return False
    return (
        _matches(statement, "Action", call.action.lower(), str.lower)
        # A trust policy has no resource but the role itself.
        and (_is_trust(statement) or _matches(statement, "Resource", call.resource, str))
        and all(
            _condition(operator, key, listed(values), call.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _principals(principal: Mapping[str, Any]) -> list[str]:
    return [name for names in principal.values() for name in listed(names)]


def _is_trust(statement: Mapping[str, Any]) -> bool:
    return "Principal" in statement and not {"Resource", "NotResource"} & set(statement)


def _matches(statement: Mapping[str, Any], element: str, value: str, form: Callable[[str], str]) -> bool:
    negated = f"Not{element}" in statement
    patterns = listed(statement[f"Not{element}" if negated else element])
    return negated != any(_pattern(form(pattern)).fullmatch(value) for pattern in patterns)


def _condition(operator: str, key: str, values: list[str], context: Mapping[str, str]) -> bool:
    """Keys are compared without regard to case. A key that the request lacks makes every operator but Null (and those
    with Not) false."""
    found = {name.lower(): value for name, value in context.items()}.get(key.lower())
    match operator:
        case "Null":
            return (found is None) == (values == ["true"])
        case "StringEquals":
            return found is not None and found in values
        case "StringLike" | "ArnLike" | "ArnEquals":
            return found is not None and any(_pattern(value).fullmatch(found) for value in values)
        case _:
            raise ValueError(f"the operator {operator}")


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


@cache
def overlap(one: str, other: str) -> bool:
    """Whether some resource is matched by both patterns, part by part where both are ARNs."""
    parts = [one.split(":", 5), other.split(":", 5)]
    if [len(part) for part in parts] == [6, 6]:
        return all(_overlap(*pair) for pair in zip(*parts, strict=True))
    return _overlap(one, other)


def _overlap(one: str, other: str) -> bool:
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return _overlap(one[1:], other) or _overlap(one, other[1:])
    if other[0] == "*":
        return _overlap(other, one)
    return one[0] == other[0] and _overlap(one[1:], other[1:])


def matches(pattern: str, text: str) -> bool:
    """By IAM's wildcards, without regard to case: for actions."""
    return _pattern(pattern.lower()).fullmatch(text.lower()) is not None


def listed(value: Any) -> list[Any]:
    """IAM takes one where a list is meant."""
    return value if isinstance(value, list) else [value]

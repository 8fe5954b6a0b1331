"""Whether a role's rights are what its playbooks call: nothing missing, and nothing more but what is named here.

The calls are those of the local cloud's log. Pure functions: rights by role, calls by role.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tests.terraform.authorization import reference
from tests.terraform.policies import Call, Identity, Policy, listed, matches, overlap


def missing(identity: Identity, calls: Iterable[Call]) -> list[str]:
    """The calls that the role's policies and boundary do not allow."""
    denied = {f"{call.action} on {call.resource} {dict(call.context)}" for call in calls if not identity.allows(call)}
    return sorted(denied)


def unused(identity: Identity, calls: Iterable[Call], known: Mapping[str, str]) -> list[str]:
    """The actions that the role's policies allow, and that are neither called nor named in `known` (patterns)."""
    called = {call.action.lower() for call in calls}
    return sorted(
        action
        for action in granted(identity.policies)
        if action.lower() not in called and not any(matches(pattern, action) for pattern in known)
    )


def unneeded(identity: Identity, calls: Iterable[Call], known: Mapping[str, str]) -> list[str]:
    """The names in `known` that the role does not have, or that were called after all."""
    called, has = {call.action for call in calls}, granted(identity.policies)
    return [pattern for pattern in known if not any(matches(pattern, action) for action in has - called)]


def granted(policies: Iterable[Policy]) -> set[str]:
    """Every action that some statement allows on a resource that the action has."""
    return {
        action
        for policy in policies
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for pattern in listed(statement["Action"])
        for action in _named(pattern)
        if any(
            _tied(pattern, other) for pattern in reference().patterns(action) for other in listed(statement["Resource"])
        )
    }


def pointless(policies: Iterable[Policy]) -> list[str]:
    """Actions that allow nothing where they stand: AWS has none of the name, or ties it to other resources."""
    return [
        f"{statement.get('Sid')}: {pattern}"
        for policy in policies
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for pattern in listed(statement["Action"])
        if not granted([{"Statement": [{**statement, "Action": pattern}]}])
    ]


def _tied(pattern: str, resource: str) -> bool:
    """An action that is tied to no resource takes a statement about all."""
    return resource == "*" if pattern == "*" else overlap(pattern, resource)


def _named(pattern: str) -> Iterator[str]:
    return (action for action in reference().actions if matches(pattern, action))

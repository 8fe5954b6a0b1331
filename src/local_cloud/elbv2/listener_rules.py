"""A listener's rules, and forwarding to several target groups by weight.

What AWS does: a listener evaluates its rules by priority, then its default action
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html). A forward action may name up
to five target groups, each with a weight from 0 to 999, and chooses one for each request; without a healthy target in
it the request fails
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-action-types.html). Priorities are unique,
from 1 to 50,000 (https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateRule.html).
Without this patch: the emulator forgets a forward action's weights, and takes any priority.

Differences from AWS: a rule with a condition on the query string never matches. Actions that authenticate, stickiness
and transforms are stored and not served. A target group may belong to two load balancers.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends
from local_cloud.elbv2.target_health import forwarded_groups

PRIORITIES = range(1, 50_001)
WEIGHTS = range(1_000)
MOST_GROUPS = 5
#: Characters that a pattern's regular expression has as they are.
_PLAIN = re.compile(r"[A-Za-z0-9/_-]")

Record = Mapping[str, Any]


class RuleHandlers:
    """The actions on rules, and the emulator's functions that read and write a forward action."""

    def __init__(self, changed: Handler) -> None:
        self._alb = emulator.service("alb")
        self._changed = changed

    @extends("alb", "_parse_actions")
    def parse_actions(
        self, parse: Handler, params: dict[str, Any], prefix: str = "DefaultActions"
    ) -> list[dict[str, Any]]:
        actions: list[dict[str, Any]] = parse(params, prefix)
        for number, action in enumerate(actions, 1):
            groups = list(self._weighted(params, f"{prefix}.member.{number}.ForwardConfig.TargetGroups"))
            if groups:
                action["ForwardConfig"] = {"TargetGroups": groups}
        return actions

    def _weighted(self, params: dict[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
        for number in itertools.count(1):
            arn = self._alb._p(params, f"{prefix}.member.{number}.TargetGroupArn")
            if not arn:
                return
            yield {"TargetGroupArn": arn, "Weight": int(self._alb._p(params, f"{prefix}.member.{number}.Weight", "1"))}

    @extends("alb", "_action_xml")
    def action_xml(self, render: Handler, action: dict[str, Any]) -> str:
        text: str = render(action)
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups")
        if not groups:
            return text
        members = "".join(
            f"<member><TargetGroupArn>{group['TargetGroupArn']}</TargetGroupArn><Weight>{group['Weight']}</Weight></member>"
            for group in groups
        )
        config = (
            f"<ForwardConfig><TargetGroups>{members}</TargetGroups>"
            "<TargetGroupStickinessConfig><Enabled>false</Enabled></TargetGroupStickinessConfig></ForwardConfig>"
        )
        return text.removesuffix("</member>") + config + "</member>"

    @extends("alb", "CreateRule")
    def create_rule(self, create: Handler, params: dict[str, Any]) -> Any:
        listener, priority = (self._alb._p(params, name) for name in ("ListenerArn", "Priority"))
        return (
            self.refusal(params, "Actions")
            or self._priority_refusal([(listener, "", priority)])
            or self._then(create(params))
        )

    @extends("alb", "ModifyRule")
    def modify_rule(self, modify: Handler, params: dict[str, Any]) -> Any:
        return self.refusal(params, "Actions") or self._then(modify(params))

    @extends("alb", "DeleteRule")
    def delete_rule(self, delete: Handler, params: dict[str, Any]) -> Any:
        return self._then(delete(params))

    @extends("alb", "SetRulePriorities")
    def set_rule_priorities(self, set_priorities: Handler, params: dict[str, Any]) -> Any:
        wanted = []
        for number in itertools.count(1):
            rule = self._alb._p(params, f"RulePriorities.member.{number}.RuleArn")
            if not rule:
                break
            record = self._alb._rules.get(rule)
            if record is None:
                return self._alb._error("RuleNotFound", f"Rule '{rule}' not found.")
            priority = self._alb._p(params, f"RulePriorities.member.{number}.Priority")
            wanted.append((record["ListenerArn"], rule, priority))
        return self._priority_refusal(wanted) or self._then(set_priorities(params))

    def refusal(self, params: dict[str, Any], prefix: str) -> Any:
        """Return the error of a request's forward actions; None if they have none."""
        for action in self._alb._parse_actions(params, prefix):
            groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
            if len(groups) > MOST_GROUPS:
                return self._invalid(f"A forward action may have at most {MOST_GROUPS} target groups")
            if any(group["Weight"] not in WEIGHTS for group in groups):
                return self._invalid(f"Weight must be from {WEIGHTS[0]} to {WEIGHTS[-1]}")
            for arn in forwarded_groups(action):
                if arn not in self._alb._tgs:
                    return self._alb._error("TargetGroupNotFound", f"Target group '{arn}' not found.")
        return None

    def _priority_refusal(self, wanted: Sequence[tuple[str, str, str]]) -> Any:
        """Return the error of new priorities; None if they have none. Each has its listener and its rule."""
        moved = {rule for _, rule, _ in wanted}
        for listener, _, priority in wanted:
            if not priority.isdigit() or int(priority) not in PRIORITIES:
                return self._invalid(f"Priority must be from {PRIORITIES[0]} to {PRIORITIES[-1]}")
            used = [rule["Priority"] for rule in rules_of(listener) if rule["RuleArn"] not in moved]
            used += [other for of, _, other in wanted if of == listener]
            if used.count(priority) > 1:
                return self._alb._error("PriorityInUse", f"Priority '{priority}' is currently in use")
        return None

    def _invalid(self, message: str) -> Any:
        return self._alb._error("ValidationError", message)

    def _then(self, answer: Any) -> Any:
        self._changed()
        return answer


def rules_of(listener: str) -> list[Record]:
    """Return a listener's rules by priority, without the default rule."""
    rules = list(emulator.service("alb")._rules._data.values())  # the emulator's threads change it
    own = [rule for rule in rules if rule["ListenerArn"] == listener and not rule.get("IsDefault")]
    return sorted(own, key=lambda rule: int(rule["Priority"]))


def weights(rule: str) -> dict[str, int]:
    """Return the weight of each target group that a rule forwards to."""
    found: dict[str, int] = {}
    for action in _find(rule)["Actions"]:
        for group in shares(action):
            found[group[0]] = group[1]
    return found


def shift(rule: str, wanted: Mapping[str, int]) -> None:
    """Forward a rule's requests by other weights, as ECS does with ModifyRule. The load balancer is to be woken."""
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in wanted.items()]
    _find(rule)["Actions"] = [{"Type": "forward", "Order": 1, "ForwardConfig": {"TargetGroups": groups}}]


def shares(action: Record) -> list[tuple[str, int]]:
    """Return the target groups that an action forwards to, with their weights."""
    weighted = (action.get("ForwardConfig") or {}).get("TargetGroups") or []
    if weighted:
        return [(group["TargetGroupArn"], int(group["Weight"])) for group in weighted]
    return [(arn, 1) for arn in forwarded_groups(action)]


def _find(arn: str) -> dict[str, Any]:
    """Return a rule's record, independent of the account and region of the caller's thread."""
    parts = arn.split(":")
    found: dict[str, Any] = emulator.service("alb")._rules.get_scoped(parts[4], parts[3], arn)
    return found


def conditions(rule: Record) -> tuple[str, ...] | None:
    """Return a rule's conditions as HAProxy's; None if one of them is not served."""
    found = [_condition(condition) for condition in rule["Conditions"]]
    return None if None in found else tuple(text for text in found if text)


def _condition(condition: Record) -> str | None:
    values = condition.get("Values") or []
    match condition["Field"]:
        case "path-pattern":
            return _matches("path", values)
        case "host-header":
            return _matches("hdr(host),host_only", values, fold=True)
        case "http-header":
            header = condition["HttpHeaderConfig"]
            return _matches(f"req.fhdr({header['HttpHeaderName']})", header["Values"], fold=True)
        case "http-request-method":
            return _matches("method", values)
        case "source-ip":
            return f"src {' '.join(values)}"
    return None


def _matches(sample: str, patterns: Sequence[str], *, fold: bool = False) -> str:
    expressions = " ".join(f"'^{''.join(map(_expression, pattern))}$'" for pattern in patterns)
    return f"{sample} -m reg{' -i' if fold else ''} {expressions}"


def _expression(character: str) -> str:
    """Return the regular expression of a pattern's character: ``*`` is any number of characters, ``?`` is one."""
    if character in "*?":
        return {"*": ".*", "?": "."}[character]
    return character if _PLAIN.match(character) else "".join(f"\\x{byte:02x}" for byte in character.encode())

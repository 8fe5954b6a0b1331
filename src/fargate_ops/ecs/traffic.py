"""Which target group gets the requests: ECS shifts them by the weights of the production listener rule.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/alb-resources-for-blue-green.html
https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_TargetGroupTuple.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from fargate_ops.terraform.stack import Stack


def target_groups(stack: Stack) -> list[str]:
    """Return the service's target groups: two, or one in a stack from before there were strategies."""
    return [stack.target_group_arn, *filter(None, [stack.get(Stack.alternate_target_group_arn, "")])]


def weights(elbv2: Any, rule: str) -> dict[str, int]:
    """Return the weight of each target group of a listener rule."""
    (found,) = elbv2.describe_rules(RuleArns=[rule])["Rules"]
    action = next(item for item in reversed(found["Actions"]) if item["Type"] == "forward")
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
    return {item["TargetGroupArn"]: int(item.get("Weight", 1)) for item in groups}


def percent(of: Mapping[str, int], group: str) -> float:
    """Return the percent of the requests that a target group gets."""
    return round(100 * of.get(group, 0) / (sum(of.values()) or 1), 1)


def live_target_groups(elbv2: Any, stack: Stack) -> list[str]:
    """Return the target groups that get requests of users now."""
    rule = stack.get(Stack.production_listener_rule_arn, "")
    if not rule:
        return target_groups(stack)
    return [group for group, weight in weights(elbv2, rule).items() if weight]


def target_health(elbv2: Any, groups: Sequence[str]) -> dict[str, Any]:
    """Return the answers of DescribeTargetHealth for target groups, as one. ECS registers a task in one of them."""
    answers = (elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"] for group in groups)
    return {"TargetHealthDescriptions": list(chain.from_iterable(answers))}

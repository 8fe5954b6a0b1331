"""What refuses a release that is not rolling: a gate that is on already, or a rule that ECS cannot shift."""

from __future__ import annotations

from typing import Any

from fargate_ops.aws.alarms import IN_ALARM
from fargate_ops.core.problem import ProblemError
from fargate_ops.release.strategy import Strategy
from fargate_ops.terraform.stack import Stack

_SETTING = "release_strategy"


def require_quiet_gates(strategy: Strategy, stack: Stack, cloudwatch: Any) -> None:
    """Refuse the release if a gate is in ALARM: ECS would not watch it, and a fault would stay unseen.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html

    Raises:
        ProblemError: with the gates, and the commands that find the cause or release without gates.
    """
    answer = cloudwatch.describe_alarms(AlarmNames=stack.release_gate_alarm_names, StateValue=IN_ALARM)
    if names := sorted(item["AlarmName"] for item in answer["MetricAlarms"]):
        raise ProblemError(
            f"A release by {strategy.name} needs its gates, and ECS does not watch an alarm that is on already: "
            f"{', '.join(names)}. Nothing was changed.",
            _SETTING,
            f"make incident ENV={stack.environment}; "
            f"or release without gates: make release ENV={stack.environment} STRATEGY=rolling",
        )


def require_rules_to_shift(strategy: Strategy, stack: Stack, elbv2: Any) -> None:
    """Refuse the release if a rule of the serving listener authenticates: ECS cannot shift the traffic of such a rule.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/alb-resources-for-blue-green.html

    Raises:
        ProblemError: with the rules.
    """
    listener = stack.production_listener_rule_arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]
    pages = elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener)
    found = [
        str(rule["Priority"])
        for page in pages
        for rule in page["Rules"]
        if any(action["Type"].startswith("authenticate-") for action in rule["Actions"])
    ]
    if found:
        raise ProblemError(
            f"ECS cannot shift the traffic of a listener's rule that authenticates: priority {', '.join(found)}. "
            f"A release by {strategy.name} would leave its requests with the old version. Nothing was changed.",
            _SETTING,
            f"make release ENV={stack.environment} STRATEGY=rolling",
        )

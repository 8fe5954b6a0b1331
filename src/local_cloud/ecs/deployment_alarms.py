"""A deployment fails if one of the service's alarms goes off while ECS monitors it.

What AWS does: a deployment monitors the alarms of ``deploymentConfiguration`` until its bake time is over, which begins
when only healthy new tasks are left. An alarm that goes into ALARM fails the deployment, and rolls it back if the
service says so (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html). ECS derives
the bake time from the alarms, and does not document how; here it is the longest range that one of them evaluates.
An alarm that is in ALARM at the start is not monitored, so that a deployment can mend what set it off.
Without this module: the emulator stores the names of the alarms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from local_cloud.core import emulator

Alarm = Mapping[str, Any]


def to_monitor(service: Mapping[str, Any]) -> list[str]:
    """Return the names of the alarms that a deployment that starts now monitors."""
    settings = _settings(service)
    names = settings.get("alarmNames") or [] if settings.get("enable") else []
    already = in_alarm(names)
    return [name for name in names if name not in already]


def in_alarm(names: Sequence[str]) -> list[str]:
    """Return those of the alarms that are in ALARM."""
    return [name for name in names if _find(name).get("StateValue") == "ALARM"]


def rolls_back(service: Mapping[str, Any]) -> bool:
    return bool(_settings(service).get("rollback"))


def bake_seconds(names: Sequence[str]) -> float:
    """Return the bake time of a deployment that monitors these alarms, in AWS's seconds."""
    return max((_range_seconds(_find(name)) for name in names), default=0.0)


def _range_seconds(alarm: Alarm) -> float:
    stats = (query.get("MetricStat") or {} for query in alarm.get("Metrics") or [])
    period = max((stat["Period"] for stat in stats if stat), default=alarm.get("Period") or 0)
    return float(period) * int(alarm.get("EvaluationPeriods") or 0)


def _find(name: str) -> Alarm:
    cloudwatch = emulator.service("cloudwatch")
    found: Alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) or {}
    return found


def _settings(service: Mapping[str, Any]) -> Mapping[str, Any]:
    return (service.get("deploymentConfiguration") or {}).get("alarms") or {}

"""The environment's CloudWatch alarms, by the prefix of their names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

IN_ALARM = "ALARM"


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm, its state (``OK``, ``ALARM`` or ``INSUFFICIENT_DATA``) and its description, see `line`.

    ``threshold`` is in the metric's unit; None for a composite alarm.
    """

    name: str
    state: str
    since: datetime
    description: str = ""
    threshold: float | None = None

    @property
    def meaning(self) -> str:
        """Return the first line of the description."""
        return self.description.partition("\n")[0].strip()

    def line(self, name: str) -> str:
        """Return what follows ``Runbook: `` or ``Next: `` in the description, as Terraform writes it; else nothing."""
        start = f"{name}: "
        return next((row[len(start) :].strip() for row in self.description.split("\n") if row.startswith(start)), "")


def alarms(cloudwatch: Any, prefix: str) -> list[Alarm]:
    """Return the metric and composite alarms whose names begin with ``prefix`` as a whole word, sorted by name.

    ``storefront-staging`` is not the prefix of ``storefront-staging2-errors``.
    """
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    found = [item for page in pages for kind in ("MetricAlarms", "CompositeAlarms") for item in page.get(kind, [])]
    return sorted((_alarm(item) for item in found if _belongs(item["AlarmName"], prefix)), key=lambda alarm: alarm.name)


def _belongs(name: str, prefix: str) -> bool:
    return not name.removeprefix(prefix)[:1].isalnum()


def _alarm(item: dict[str, Any]) -> Alarm:
    # StateUpdatedTimestamp also changes when the state is only confirmed.
    since = item.get("StateTransitionedTimestamp") or item["StateUpdatedTimestamp"]
    description = item.get("AlarmDescription", "")
    return Alarm(
        name=item["AlarmName"],
        state=item["StateValue"],
        since=since,
        description=description,
        threshold=item.get("Threshold"),
    )

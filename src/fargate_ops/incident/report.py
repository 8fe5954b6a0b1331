"""The answer of one look, as text and as the command's outcome."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fargate_ops.aws.alarms import IN_ALARM
from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.incident.causes import Cause
from fargate_ops.incident.signals import Signals


def text(seen: Signals, found: Sequence[Cause]) -> str:
    """Return the causes with their evidence, what else is known, and what could not be read."""
    lines = [f"{seen.scope.environment}: {headline(seen, found)}"]
    for number, cause in enumerate(found):
        lines += [] if number == 0 else [f"  also seen  {cause.name}"]
        lines += [f"    {_time(item.at, seen.now)}  {item.text}" for item in cause.evidence]
        lines += [f"    next     {cause.next}", f"    runbook  {cause.runbook}"]
    alarms = [alarm for alarm in seen.alarms if alarm.state == IN_ALARM]
    lines += [f"  in ALARM   {alarm.name} since {_time(alarm.since, seen.now)}" for alarm in alarms]
    lines += [f"  changed    {_time(change.at, seen.now)}  {change.call} by {change.by}" for change in seen.changes]
    minutes = seen.scope.recent.total_seconds() / 60
    lines.append(f"  looked at  {', '.join(seen.read)}; the last {minutes:g} min")
    lines += [f"  ! not read: {source}: {why}" for source, why in seen.unread.items()]
    return "\n".join(lines)


def headline(seen: Signals, found: Sequence[Cause]) -> str:
    """Return the cause, or that nothing was found in what was read."""
    if found:
        return f"the cause: {found[0].name}"
    if seen.is_missing and not seen.releases:
        return "nothing was deployed here yet"
    alarms = [alarm.name for alarm in seen.alarms if alarm.state == IN_ALARM]
    return f"no known cause; in ALARM: {', '.join(alarms)}" if alarms else "nothing found"


def outcome(seen: Signals, found: Sequence[Cause]) -> Outcome:
    """Return how the command ends."""
    said = headline(seen, found)
    facts = {
        "also seen": ", ".join(cause.name for cause in found[1:]),
        "not read": ", ".join(seen.unread),
        "runbook": found[0].runbook if found else "",
    }
    return Outcome(
        kind=Kind.DONE,
        what=said if found or seen.is_missing else f"{said}; looked at: {', '.join(seen.read)}",
        cause=found[0].evidence[0].text if found else "",
        next=found[0].next if found else _next_without_cause(seen),
        facts={label: value for label, value in facts.items() if value},
    )


def result(seen: Signals, found: Sequence[Cause]) -> dict[str, Any]:
    """Return the same as plain values, for the fact."""
    return {
        "cause": str(found[0].name) if found else "",
        "also_seen": [str(cause.name) for cause in found[1:]],
        "evidence": [item.text for cause in found[:1] for item in cause.evidence],
        "next": found[0].next if found else "",
        "runbook": found[0].runbook if found else "",
        "not_read": {str(source): why for source, why in seen.unread.items()},
    }


def _next_without_cause(seen: Signals) -> str:
    """Return what to do about an alarm whose cause is not known. Without an alarm, nothing has to be done."""
    has_alarm = any(alarm.state == IN_ALARM for alarm in seen.alarms)
    return f"make status ENV={seen.scope.environment}" if has_alarm else ""


def _time(moment: datetime, now: datetime) -> str:
    """Return the time of day; with the date if it is another day."""
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M:%S}"

"""The state document of the page: sections made of the newest readings, and what changed in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from fargate_ops.aws.alarms import Alarm
from fargate_ops.aws.retry import is_transient
from fargate_ops.console.readings import RELEASES
from fargate_ops.core.problem import OperationsError, ProblemError
from fargate_ops.ecs.rollout import Deployment, Snapshot, count_targets, progress
from fargate_ops.ecs.tasks import short
from fargate_ops.plugin.failure import problem_of
from fargate_ops.release.journal import incarnation
from fargate_ops.release.status import (
    current_release,
    ledger_warnings,
    rollback_target,
    service_warnings,
    target_states,
    task_of,
)
from fargate_ops.state.ledger import History, Release, as_row, of_service
from fargate_ops.state.lock import STALE_AFTER, Found, Machine, State, judge
from fargate_ops.terraform.stack import Stack

#: The readings whose failure is the section's. The first one's time is the section's, too.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "serving": ("service", "ledger", "targets"),
    "rollout": ("service", "tasks", "targets", "service_deployments", "ledger"),
    "traffic": ("traffic",),
    "alarms": ("alarms",),
    "ledger": ("ledger",),
    "lock": ("lock",),
}
#: Alarms are listed in this order of their states.
_STATES = ("ALARM", "INSUFFICIENT_DATA", "OK")
#: The newest events of the service that are shown. ECS lists the newest first.
_EVENTS = 8
#: A target in one of these states is about to get another one.
_MOVING = frozenset({"initial", "draining"})


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why the last reading failed. ``since`` is the first failure in a row."""

    message: str
    next: str
    at: datetime
    since: datetime

    @classmethod
    def of(cls, error: Exception, at: datetime, before: Failure | None) -> Failure:
        if isinstance(error, OperationsError) and not isinstance(error, ProblemError):
            message, _, next_step = str(error).partition("Next: ")
            message = message.strip().removesuffix(".")
        else:
            problem = error.problem if isinstance(error, ProblemError) else problem_of(error)
            message = problem.what
            # The console itself reads again.
            next_step = "" if is_transient(error) else problem.next_step.removesuffix(", then repeat the command")
        return cls(message=message, next=next_step, at=at, since=before.since if before else at)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A reading: its last good value with its time, and why the last attempt failed, if it did."""

    value: Any = None
    at: datetime | None = None
    failure: Failure | None = None

    def good(self, value: Any, at: datetime) -> Seen:
        return replace(self, value=value, at=at, failure=None)

    def bad(self, error: Exception, at: datetime) -> Seen:
        return replace(self, failure=Failure.of(error, at, self.failure))


@dataclass(frozen=True, kw_only=True)
class Page:
    """Makes the document of one environment."""

    environment: str
    stack: Stack
    machine: Machine

    def document(self, seen: Mapping[str, Seen], intervals: Mapping[str, float]) -> dict[str, Any]:
        """Return what the page shows of the environment; all values are plain JSON."""
        return {
            "environment": self.environment,
            "region": self.stack.get(Stack.region, ""),
            "account": self.stack.get(Stack.account_id, ""),
            "url": self.stack.get(Stack.public_url, ""),
            "busy": self.is_busy(seen),
            "sections": {
                name: self._section(name, parts, seen) | {"interval_seconds": intervals[parts[0]]}
                for name, parts in SECTIONS.items()
            },
        }

    def is_busy(self, seen: Mapping[str, Seen]) -> bool:
        """Return whether a rollout is in progress, targets change, or somebody holds the lock."""
        service, targets, found = (seen[name].value for name in ("service", "targets", "lock"))
        rollout = service is not None and _in_progress(Snapshot(service=service, targets={}))
        moving = targets is not None and bool(_MOVING & set(count_targets(targets)))
        return rollout or moving or self._lock_state(found) is State.HELD

    def _section(self, name: str, parts: Sequence[str], seen: Mapping[str, Seen]) -> dict[str, Any]:
        at, value = seen[parts[0]].at, None
        failure = next((seen[part].failure for part in parts if seen[part].failure), None)
        if at:
            try:
                value = getattr(self, f"_{name}")({key: item.value for key, item in seen.items()})
            except Exception as error:  # the other sections go on
                failure = Failure.of(error, at, failure)
        return {
            "value": value,
            "at": _iso(at),
            "error": failure and asdict(failure) | {"at": _iso(failure.at), "since": _iso(failure.since)},
        }

    def _serving(self, values: Mapping[str, Any]) -> dict[str, Any]:
        snapshot = _snapshot(values)
        releases = _releases(values, snapshot)
        current = current_release(releases, snapshot.primary)
        back = rollback_target(releases, snapshot.primary)
        targets, tasks = values["targets"], values["tasks"]
        states = target_states(targets) if targets else {}
        known_tasks = [task_of(task, states) for task in tasks or []]
        warnings = service_warnings(snapshot, known_tasks) if targets and tasks is not None else []
        if values["ledger"]:
            warnings += ledger_warnings(snapshot, releases, self.environment)
        return {
            "version": current and current.version,
            "name": current and current.name,
            "digest": current and current.digest,
            "revision": snapshot.primary.revision_name,
            "kind": current and str(current.kind),
            "outcome": current and str(current.outcome),
            "since": _iso(current.ended) if current else None,
            "by": current and current.by,
            "why": current and current.why,
            "desired": snapshot.service["desiredCount"],
            "running": sum(deployment.running for deployment in snapshot.deployments),
            "healthy": count_targets(targets).get("healthy", 0) if targets else None,
            "rollback_to": f"{back.name} ({back.revision_name})" if back else None,
            "max_connections": self.stack.database.max_connections if self.stack.has_database else None,
            "warnings": warnings,
        }

    def _rollout(self, values: Mapping[str, Any]) -> dict[str, Any]:
        snapshot = _snapshot(values)
        primary, releases = snapshot.primary, _releases(values, snapshot)
        states = target_states(values["targets"]) if values["targets"] else None
        deployments = sorted(snapshot.deployments, key=lambda deployment: deployment.id != primary.id)
        return {
            "in_progress": _in_progress(snapshot),
            "state": primary.rollout_state,
            "reason": primary.reason,
            "progress": progress(snapshot, primary.id),
            "desired": snapshot.service["desiredCount"],
            "deployments": [_deployment(deployment, primary, releases) for deployment in deployments],
            "targets": dict(snapshot.targets) if values["targets"] else None,
            "tasks": None if values["tasks"] is None else _tasks(values["tasks"], states, primary),
            "service_deployment": _service_deployment(values["service_deployments"] or []),
            "events": [
                {"at": _iso(event["createdAt"]), "text": event["message"]}
                for event in snapshot.service.get("events", [])[:_EVENTS]
            ],
        }

    def _traffic(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return asdict(values["traffic"])

    def _alarms(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"alarms": [_alarm(alarm) for alarm in sorted(values["alarms"], key=_alarm_order)]}

    def _ledger(self, values: Mapping[str, Any]) -> dict[str, Any]:
        history: History = values["ledger"]
        revision = _snapshot(values).primary.revision if values["service"] else None
        newest_first = history.releases[::-1]
        serves = next((release.id for release in newest_first if release.revision == revision), None)
        return {
            "releases": [_release(release, serves) for release in newest_first[:RELEASES]],
            "more": history.more,
            "unreadable": [str(item) for item in history.unreadable],
        }

    def _lock(self, values: Mapping[str, Any]) -> dict[str, Any]:
        found: Found | None = values["lock"]
        state = self._lock_state(found)
        free = found is None or state is State.FREE
        lock = None if free or found is None else found.lock
        needs_breaking = state is State.DEAD or (not free and lock is None)
        return {
            "state": {State.FREE: "free", State.DEAD: "dead"}.get(state, "held"),
            "owner": lock and lock.owner,
            "purpose": lock and lock.purpose,
            "since": _iso(lock.started) if lock else None,
            "heartbeat": None if free or found is None else _iso(found.written),
            "heartbeat_age_seconds": None
            if free or found is None
            else int((found.now - found.written).total_seconds()),
            "text": None if free else str(found),
            "next": None if free else f"make unlock ENV={self.environment}" if needs_breaking else "",
        }

    def _lock_state(self, found: Found | None) -> State:
        return judge(found, self.machine, "", STALE_AFTER)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return what changed from one document to the next: whole keys, and of each section its changed keys."""
    changed = {name: value for name, value in after.items() if name != "sections" and value != before.get(name)}
    sections = {
        name: {key: value for key, value in section.items() if value != before["sections"][name][key]}
        for name, section in after["sections"].items()
    }
    return changed | {"sections": {name: section for name, section in sections.items() if section}}


def _snapshot(values: Mapping[str, Any]) -> Snapshot:
    return Snapshot(service=values["service"], targets=count_targets(values["targets"]) if values["targets"] else {})


def _releases(values: Mapping[str, Any], snapshot: Snapshot) -> list[Release]:
    history: History | None = values["ledger"]
    return of_service(history.releases, incarnation(snapshot.service)) if history else []


def _in_progress(snapshot: Snapshot) -> bool:
    primary = snapshot.primary
    return primary.rollout_state == "IN_PROGRESS" or snapshot.tasks_beside(primary.id) > 0


def _deployment(deployment: Deployment, primary: Deployment, releases: Sequence[Release]) -> dict[str, Any]:
    release = current_release(releases, deployment)
    return {
        "id": deployment.id,
        "which": _which(deployment.revision, primary),
        "status": deployment.status,
        "revision": deployment.revision_name,
        "name": release and release.name,
        "desired": deployment.desired,
        "pending": deployment.pending,
        "running": deployment.running,
        "failed": deployment.failed,
        "state": deployment.rollout_state,
        "reason": deployment.reason,
        "created": _iso(deployment.created),
    }


def _tasks(
    tasks: Sequence[Mapping[str, Any]], states: Mapping[str, str] | None, primary: Deployment
) -> list[dict[str, Any]]:
    rows = []
    for task in tasks:
        row = asdict(task_of(task, states or {}))
        row["which"] = _which(task["taskDefinitionArn"], primary)
        row["started"] = _iso(task.get("startedAt"))
        if states is None:
            row["target"] = "unknown"
        rows.append(row)
    return sorted(rows, key=lambda row: (row["which"] == "new", row["id"]))


def _which(revision: str, primary: Deployment) -> str:
    return "new" if revision == primary.revision else "old"


def _service_deployment(listed: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not listed:
        return None
    newest = max(listed, key=lambda item: item["createdAt"])
    return {
        "id": short(newest["serviceDeploymentArn"]),
        "status": newest["status"],
        "reason": newest.get("statusReason", ""),
        "created": _iso(newest["createdAt"]),
        "finished": _iso(newest.get("finishedAt")),
    }


def _alarm_order(alarm: Alarm) -> tuple[int, str]:
    return (_STATES.index(alarm.state) if alarm.state in _STATES else 0, alarm.name)


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "name": alarm.name,
        "state": alarm.state,
        "since": _iso(alarm.since),
        "meaning": alarm.meaning,
        "runbook": alarm.line("Runbook"),
        "next": alarm.line("Next"),
        "threshold": alarm.threshold,
    }


def _release(release: Release, serves: str | None) -> dict[str, Any]:
    row = as_row(release)
    names = ("name", "version", "digest", "kind", "outcome", "by", "why", "duration_seconds")
    return {name: row[name] for name in names} | {
        "revision": release.revision_name,
        "started": _iso(release.started),
        "ended": _iso(release.ended),
        "serves": release.id == serves,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None

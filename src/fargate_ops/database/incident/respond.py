"""The steps of an incident: collect evidence, diagnose it, terminate sessions if requested, write the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.clients import Clients
from fargate_ops.core.application import ADMIN_COMMAND_NEXT, NO_ADMIN_COMMAND
from fargate_ops.core.problem import OperationsError
from fargate_ops.database.incident.collect import Scope, SessionsTask, collect
from fargate_ops.database.incident.diagnosis import Limits, Verdict, diagnose
from fargate_ops.database.incident.evidence import Ended, Evidence, NoListing
from fargate_ops.database.incident.report import ended_lines, markdown, next_lines, screen, would_end
from fargate_ops.ecs.tasks import TaskError

Say = Callable[[str], None]


def respond(
    clients: Clients,
    scope: Scope,
    limits: Limits,
    directory: Path,
    say: Say,
    *,
    end_idle: bool,
    preview: bool,
    sleep: Callable[[float], None],
) -> dict[str, Any]:
    """Print the diagnosis, terminate unused sessions if `end_idle` and if that helps, and write a report.

    Return ``changed`` and the results that the action ``db_incident`` documents. A preview starts no task.

    Raises:
        OperationsError: terminating sessions failed, or is not possible without an admin command.
    """
    if end_idle and not scope.application.admin_command:
        raise OperationsError(f"{NO_ADMIN_COMMAND}, so no session can be ended. Next: {ADMIN_COMMAND_NEXT}")
    now = datetime.now(UTC)
    task = SessionsTask(clients, scope, say, sleep=sleep)
    why_not = "no task is started in check mode" if preview else NO_ADMIN_COMMAND
    listing = None if preview or not scope.application.admin_command else task.listing
    seen = collect(clients, scope, listing, now, why_not)
    verdict = diagnose(seen, limits)
    say("\n".join(screen(seen, verdict)))
    ended = _end(task, seen, verdict, limits, say, wanted=end_idle)
    path = _write(directory, seen, verdict, ended, now)
    say("\n".join([*next_lines(verdict, ended), f"  report     {path}"]))
    before = len(seen.database.sessions) if seen.database else None
    return {
        "changed": bool(ended and ended.sessions),
        "case": str(verdict.case),
        "ended": [item.pid for item in ended.sessions] if ended else [],
        "connections_before": ended.before if ended else before,
        "connections_after": ended.after if ended else before,
        "missing": list(seen.missing),
        "report": str(path),
    }


def _end(
    task: SessionsTask, seen: Evidence, verdict: Verdict, limits: Limits, say: Say, *, wanted: bool
) -> Ended | None:
    """Terminate unused sessions if that is requested and helps."""
    if seen.database is None:
        if wanted:
            say("  ended nothing: what the sessions do is not known")
        return None
    if not verdict.ending_helps:
        say("  ended nothing: it would not help in this case" if wanted else "  changed nothing")
        return None
    if not wanted:
        say(f"  changed nothing; {would_end(seen.database, limits)}")
        return None
    try:
        ended = task.end(limits.idle_in_transaction_seconds, limits.idle_seconds)
    except (NoListing, TaskError, ClientError, BotoCoreError) as error:
        raise OperationsError(
            f"ending sessions did not come to its end: {error}. Next: make incident-db ENV={seen.environment}"
        ) from error
    say("\n".join(ended_lines(ended)))
    return ended


def _write(directory: Path, seen: Evidence, verdict: Verdict, ended: Ended | None, now: datetime) -> Path:
    """Write the report for people, and the same as JSON for programs. SQL statements in it have no values."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"db-connections-{now:%Y%m%dT%H%M%SZ}.md"
    path.write_text(markdown(seen, verdict, ended, now), encoding="utf-8")
    whole = {"verdict": asdict(verdict), "evidence": asdict(seen), "ended": asdict(ended) if ended else None}
    path.with_suffix(".json").write_text(json.dumps(whole, indent=2, default=str), encoding="utf-8")
    return path

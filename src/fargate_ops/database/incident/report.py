"""The evidence and the verdict: a summary for the screen, and complete Markdown for the post-mortem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from fargate_ops.database.incident.diagnosis import Limits, Verdict
from fargate_ops.database.incident.evidence import IN_TRANSACTION, Database, Ended, Evidence, Session

_BARS = "▁▂▃▄▅▆▇█"
#: The rows of a table that are shown; the others are counted.
SCREEN_ROWS = 8
REPORT_ROWS = 200


def sparkline(values: Sequence[float | None]) -> str:
    """Draw a bar for each value, from 0 to the highest, and a dot for a missing one."""
    top = max((value for value in values if value is not None), default=0.0)
    return "".join(
        "·" if value is None else _BARS[min(7, int(value / top * 7.999))] if top else _BARS[0] for value in values
    )


def groups(database: Database) -> list[tuple[int, str, str, str, float]]:
    """Group the sessions: (number, state, user, origin, longest seconds in that state), largest group first."""
    counted: Counter[tuple[str, str, str]] = Counter()
    oldest: dict[tuple[str, str, str], float] = {}
    for item in database.sessions:
        key = (item.state, item.user or "?", item.origin)
        counted[key] += 1
        oldest[key] = max(oldest.get(key, 0.0), item.state_seconds or 0.0)
    return [(number, *key, oldest[key]) for key, number in counted.most_common()]


def ages(sessions: Iterable[Session]) -> str:
    """Count the sessions by age: ``12 under 1 min, 3 under 10 min, 1 older``."""
    names = ((60.0, "under 1 min"), (600.0, "under 10 min"), (3600.0, "under 1 h"))
    counted = Counter(
        next((name for limit, name in names if (item.age_seconds or 0.0) < limit), "older") for item in sessions
    )
    order = [name for _, name in names] + ["older"]
    return ", ".join(f"{counted[name]} {name}" for name in order if counted[name]) or "none"


def screen(seen: Evidence, verdict: Verdict) -> list[str]:
    """Return the summary for the screen."""
    lines = [f"{seen.environment}: {verdict.case.upper()}", *(f"  because  {reason}" for reason in verdict.why)]
    lines += _outside(seen)
    if seen.database:
        lines.append(f"  sessions   {len(seen.database.sessions)}: {ages(seen.database.sessions)}")
        rows = groups(seen.database)
        lines += [
            f"    {number:>5}  {state:<28} {user:<18} {origin}, for up to {age:.0f} s"
            for number, state, user, origin, age in rows[:SCREEN_ROWS]
        ]
        if len(rows) > SCREEN_ROWS:
            lines.append(
                f"    {sum(row[0] for row in rows[SCREEN_ROWS:]):>5}  others, of {len(rows) - SCREEN_ROWS} kinds"
            )
        longest = longest_transactions(seen.database)[:3]
        lines += [f"  longest    {item.transaction_seconds:.0f} s, pid {item.pid}: {_short(item)}" for item in longest]
        blocked = [item for item in seen.database.sessions if item.blocked_by]
        lines += [
            f"  blocked    pid {item.pid} by {', '.join(map(str, item.blocked_by))}: {_short(item)}"
            for item in blocked[:3]
        ]
    lines += [f"  ! missing  {what}" for what in seen.missing]
    return lines


def _outside(seen: Evidence) -> list[str]:
    """Return the lines on AWS's metrics and states, and on the application's log."""
    names = {
        "connections": "connections",
        "requests": "requests",
        "target_5xx": "target 5xx",
        "elb_5xx": "ALB 5xx",
        "latency_p99": "p99 seconds",
    }
    lines = []
    for name, label in names.items():
        values = seen.series.get(name, ())
        known = [value for value in values if value is not None]
        now = f"last {known[-1]:.3g}, most {max(known):.3g}" if known else "no data"
        limit = f" of {seen.max_connections}" if name == "connections" else ""
        lines.append(f"  {label:<11}{sparkline(values)}  {now}{limit}")
    if seen.instance:
        lines.append(f"  instance   {seen.instance['identifier']}, {seen.instance['class']}, {seen.instance['status']}")
    if seen.serving:
        pools, number = seen.serving, len(seen.tasks)
        lines.append(
            f"  pools      {number} tasks x {pools.workers} workers x ({pools.pool_size} + {pools.max_overflow}) = "
            f"{number * pools.connections}; at most {seen.max_tasks} tasks, {seen.maximum_percent} % in a rollout"
        )
    if seen.logs:
        logs = seen.logs
        used = (
            "" if logs.pool_in_use is None else f", the fullest pool had {logs.pool_in_use} of {logs.pool_size} in use"
        )
        lines.append(
            f"  log        {seen.minutes} min: {logs.pool_timeouts} requests timed out in their pool, "
            f"{logs.refused} could not use the database{used}"
        )
    for row in list(seen.releases)[-3:]:
        lines.append(f"  release    {str(row['started'])[:19]} {row['version']}  {row['outcome']}  {row['by']}")
    return lines


def longest_transactions(database: Database) -> list[Session]:
    """Return the sessions in a transaction, longest first."""
    open_ = [item for item in database.sessions if item.transaction_seconds is not None]
    return sorted(open_, key=lambda item: -(item.transaction_seconds or 0.0))


def _short(item: Session) -> str:
    statement = item.statement if len(item.statement) <= 100 else f"{item.statement[:97]}..."
    return f"{item.state}, {item.origin}: {statement or '(no statement)'}"


def would_end(database: Database, limits: Limits) -> str:
    """Say which of the application's sessions `end_idle` would end."""
    ours = [item for item in database.sessions if item.user in database.app_users]
    leaked = sum(item.is_leaked(limits.idle_in_transaction_seconds) for item in ours)
    idle = sum(item.state == "idle" for item in ours)
    return (
        f"end_idle=true would end {leaked} sessions that are idle in a transaction and, while the server is short of "
        f"connections, the longest idle of {idle} others"
    )


def ended_lines(ended: Ended, rows: int = SCREEN_ROWS) -> list[str]:
    """Return a line for each of the first ended sessions, and the totals."""
    lines = [f"  ended      pid {item.pid}, {_short(item)}" for item in ended.sessions[:rows]]
    if len(ended.sessions) > rows:
        lines.append(f"             and {len(ended.sessions) - rows} more (all in the report)")
    return [*lines, f"  ENDED {len(ended.sessions)} sessions: {ended.before} connections before, {ended.after} after"]


def next_lines(verdict: Verdict, ended: Ended | None = None) -> list[str]:
    """Return the next commands, except the one that was just run."""
    return ["  next", *(f"    {command}" for command in verdict.next if ended is None or "end_idle" not in command)]


def markdown(seen: Evidence, verdict: Verdict, ended: Ended | None, now: datetime) -> str:
    """Return the full report."""
    parts = [
        f"# Database connections, {seen.environment}, {now:%Y-%m-%d %H:%M:%S} UTC",
        f"**{verdict.case.capitalize()}.**",
        _list(verdict.why),
        "## AWS metrics and log",
        _block(_outside(seen)),
    ]
    if seen.missing:
        parts += ["## Missing evidence", _list(seen.missing)]
    if seen.tasks:
        parts += [
            "## Tasks",
            _table(
                ("task", "definition", "status", "address"),
                ((t.id, t.revision, t.status, t.address) for t in seen.tasks),
            ),
        ]
    if seen.releases:
        columns = ("started", "version", "revision", "outcome", "by", "why")
        rows = ([str(row[name])[:19] if name == "started" else row[name] for name in columns] for row in seen.releases)
        parts += ["## Releases", _table(columns, rows)]
    if seen.database:
        parts += _database(seen.database)
    if ended is not None:
        parts += [
            "## Ended",
            f"{len(ended.sessions)} sessions; {ended.before} connections before, {ended.after} after.",
            _sessions(ended.sessions),
        ]
    parts += ["## Next", _block(verdict.next)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _database(database: Database) -> list[str]:
    in_transaction = [item for item in database.sessions if item.state in IN_TRANSACTION]
    blocked = [item for item in database.sessions if item.blocked_by]
    by_pid = {item.pid: item for item in database.sessions}
    blocking = [by_pid[pid] for pid in sorted({pid for item in blocked for pid in item.blocked_by}) if pid in by_pid]
    return [
        "## Sessions",
        f"{len(database.sessions)} of {database.max_connections} connections, {database.reserved} of which are "
        f"reserved; {len(in_transaction)} idle in a transaction. Age: {ages(database.sessions)}.",
        _table(
            ("sessions", "state", "user", "origin", "longest in state, s"),
            ((number, state, user, origin, f"{age:.1f}") for number, state, user, origin, age in groups(database)),
        ),
        "## Longest transactions",
        _sessions(longest_transactions(database)[:20]),
        "## Blocked, and blocking",
        _sessions([*blocked, *blocking]) or "None.",
        "## Top statements",
        _table(
            ("calls", "total, s", "mean, ms", "statement"),
            ((item.calls, item.total_seconds, item.mean_ms, item.statement) for item in database.statements),
        )
        if database.statements
        else "Not known: the extension pg_stat_statements is not installed (CREATE EXTENSION pg_stat_statements).",
        "## Every session",
        _sessions(database.sessions),
    ]


def _sessions(sessions: Sequence[Session]) -> str:
    if not sessions:
        return ""
    columns = (
        "pid",
        "user",
        "application",
        "address",
        "state",
        "age, s",
        "state, s",
        "transaction, s",
        "blocked by",
        "tag",
    )
    return _table(
        (*columns, "statement"),
        (
            (
                item.pid,
                item.user,
                item.application,
                item.address,
                item.state,
                item.age_seconds,
                item.state_seconds,
                item.transaction_seconds,
                " ".join(map(str, item.blocked_by)),
                item.tag,
                item.statement,
            )
            for item in sessions
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    all_rows = list(rows)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in all_rows[:REPORT_ROWS]]
    if len(all_rows) > REPORT_ROWS:
        lines.append(f"\n{len(all_rows) - REPORT_ROWS} more rows are in the JSON file beside this one.")
    return "\n".join(lines)


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _block(lines: Iterable[str]) -> str:
    return "\n".join(["```", *lines, "```"])

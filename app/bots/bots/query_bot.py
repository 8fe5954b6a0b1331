"""query-bot: report each slow statement of the database's log to Slack, the same one once in a window (F3).

The log arrives through CloudWatch Logs and a subscription filter. Within the window, further executions of the same
statement (with any literals) by the same user in the same database are counted; its next post reports the count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from bots import slack
from bots.deduplication import Claim, Deduplication, InFlight
from bots.delivery import Delivery
from bots.invocation import Event, Malformed, client, guarded, region, subject
from bots.log import say
from bots.postgres_log import SlowStatement, Unreadable, read_batch, read_log
from bots.statements import CHARACTERS, fingerprint, redact
from bots.values import digest


@guarded("query-bot")
def handler(event: Event, delivery: Delivery) -> None:
    """Post or count each slow statement of one batch, and keep the lines with ``duration:`` that are not understood."""
    try:
        batch = read_batch(event)
    except Unreadable as problem:
        raise Malformed(str(problem)) from None
    if batch is None:
        return
    threshold = Decimal(os.environ.get("SLOW_QUERY_MILLISECONDS", "3000"))
    groups: dict[str, list[SlowStatement]] = {}
    reading = read_log(batch.lines, threshold)
    for slow in reading.slow:
        groups.setdefault(fingerprint(slow.database, slow.user, slow.statement), []).append(slow)
    _report(groups, delivery, batch.group)
    unknown = [{"id": line.id, "message": line.message} for line in reading.unknown]
    delivery.keep_all(f"lines of {batch.group} with duration: that query-bot does not understand", "lines", unknown)


def _report(groups: dict[str, list[SlowStatement]], delivery: Delivery, log_group: str) -> None:
    deduplication = Deduplication(
        client("dynamodb"),
        os.environ["DEDUPLICATION_TABLE"],
        window_seconds=float(os.environ.get("DEDUPLICATION_WINDOW_SECONDS", "300")),
        lease_seconds=delivery.seconds_left(),
    )
    waiting = list(groups.items())
    in_flight = False
    while waiting and not delivery.is_late():
        key, group = waiting.pop(0)
        delivery_id = _delivery_id(group)
        try:
            claim = deduplication.claim(key, delivery_id, len(group))
        except InFlight:
            in_flight = True
            continue
        if claim.post:
            delivery.send(message(group, claim, log_group))
            deduplication.settle(key, delivery_id)
        else:
            say("counted", statement=key, times=len(group), slowest_ms=max(slow.milliseconds for slow in group))
    delivery.keep_all("no time left", "messages", [message(group, Claim(post=True), log_group) for _, group in waiting])
    if in_flight:
        raise InFlight("another invocation has this batch and has not finished; Lambda retries")


def _delivery_id(group: Iterable[SlowStatement]) -> str:
    """Return an id from CloudWatch Logs' event ids: a batch that is delivered again has the same."""
    return digest(*(f"{slow.event} {slow.at} {slow.milliseconds} {slow.host}" for slow in group))


def message(group: list[SlowStatement], claim: Claim, log_group: str) -> slack.Payload:
    """Return the Slack message for one statement: its slowest execution in this batch, and the count."""
    worst = max(group, key=lambda slow: slow.milliseconds)
    statement = worst.statement[:CHARACTERS]
    if os.environ.get("REDACT_LITERALS", "true").strip().lower() != "false":
        statement = redact(statement)
    took = f"{worst.milliseconds} ms"
    facts = {
        "Duration": took if len(group) == 1 else f"{took}, the slowest of {len(group)}",
        "Database": worst.database,
        "User": worst.user,
        "From": worst.host,
        "At": slack.moment(worst.at) if worst.at else "",
    }
    notes = [_log_link(log_group)]
    if not slack.fits(statement):
        notes.insert(0, f"The statement is cut: it has {len(worst.statement):,} characters.")
    if claim.missed:
        since = datetime.fromtimestamp(claim.missed_since, UTC)
        notes.insert(0, f"*And {_times(claim.missed)} more since {slack.moment(since)}*, not reported until now.")
    return slack.payload(
        f"{subject()}: a query took {took} ({worst.database}, {worst.user})",
        [
            slack.header(f":hourglass: {subject()}: a query took {took}"),
            *slack.fields(facts),
            slack.code(statement or "(not in the log's line: log_statement logs it in another)"),
            slack.context(*filter(None, notes)),
        ],
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _log_link(log_group: str) -> str:
    # The console's own encoding of a name in the address's fragment.
    name = slack.quoted(slack.quoted(log_group)).replace("%", "$")
    url = slack.console("cloudwatch", region(), f"logsV2:log-groups/log-group/{name}")
    shown = log_group or "the log"
    return slack.link(url, shown) if url and log_group else slack.safe(shown, 300)

"""Post the messages that the bots could not deliver: read their queue until it is empty.

A bot stores ``{"bot", "environment", "reason", "at"}`` with one ``message`` for Slack or several ``messages``. Other
entries cannot be posted: an ``event`` or ``lines`` of a log that a bot could not read, or an event that Lambda or SNS
gave up on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: How long a message is hidden from other readers after it was read.
HIDDEN_SECONDS = 300


@dataclass
class Outcome:
    """The number of messages posted, a line for each one discarded or left, and the first error."""

    delivered: int = 0
    discarded: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problem: str = ""


def redeliver(
    sqs: Any,
    queue_url: str,
    post: Callable[[dict[str, Any]], str],
    *,
    discard: bool = False,
    preview: bool = False,
) -> Outcome:
    """Post the stored messages and delete them from the queue; stop at the first one that Slack refuses.

    ``post`` returns ``delivered…`` or the reason why not. ``discard`` deletes entries that cannot be posted;
    ``preview`` posts and deletes nothing.
    """
    outcome = Outcome()
    given_back = []
    for kept in _read(sqs, queue_url):
        payloads = payloads_of(kept["Body"])
        done = False
        if preview or outcome.problem:
            pass
        elif payloads:
            outcome.problem = next((said for said in map(post, payloads) if not said.startswith("delivered")), "")
            done = not outcome.problem
            outcome.delivered += done
        elif discard:
            done = True
            outcome.discarded.append(describe(kept["Body"]))
        if done:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=kept["ReceiptHandle"])
        else:
            given_back.append(kept["ReceiptHandle"])
            outcome.left.append(describe(kept["Body"]))
    for handle in given_back:
        sqs.change_message_visibility(QueueUrl=queue_url, ReceiptHandle=handle, VisibilityTimeout=0)
    return outcome


def payloads_of(body: str) -> list[dict[str, Any]]:
    """Return the Slack messages in one queue message; empty if it has none."""
    record = _record(body)
    found = record["messages"] if isinstance(record.get("messages"), list) else [record.get("message")]
    return [payload for payload in found if isinstance(payload, dict)]


def describe(body: str) -> str:
    """Describe a queue message in one line: time, bot, reason and text."""
    record = _record(body)
    known = [str(record[name]) for name in ("at", "bot", "reason") if record.get(name)]
    said = [str(payload.get("text", "")) for payload in payloads_of(body)]
    # Other content is untrusted; as JSON it stays one line.
    rest = " · ".join(said) if said else json.dumps(body)[:300]
    return ": ".join([*known, " ".join(rest.split())])


def _read(sqs: Any, queue_url: str) -> Iterator[dict[str, Any]]:
    while True:
        found = sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=HIDDEN_SECONDS
        ).get("Messages", [])
        if not found:
            return
        yield from found


def _record(body: str) -> dict[str, Any]:
    try:
        record = json.loads(body)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}

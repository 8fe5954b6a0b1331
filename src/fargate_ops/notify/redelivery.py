"""What the bots could not post, posted again: one queue's messages, read until it has no more.

A bot keeps ``{"bot", "environment", "reason", "at"}`` with one ``message`` for Slack or several ``messages``. What else
is there, an ``event`` that made no sense to a bot or one on which Lambda or SNS gave up, cannot be posted as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: For how long what was read is hidden from another run.
HIDDEN_SECONDS = 300


@dataclass
class Outcome:
    """How many of the queue's messages were posted and deleted, and what is left there, each in a line."""

    delivered: int = 0
    discarded: int = 0
    left: list[str] = field(default_factory=list)
    problem: str = ""


def redeliver(
    sqs: Any,
    queue_url: str,
    post: Callable[[dict[str, Any]], str],
    *,
    discard: bool = False,
    look_only: bool = False,
) -> Outcome:
    """Post what is kept and delete it from the queue; stop at the first that Slack does not take.

    ``post`` answers ``delivered…`` or why not. ``discard`` deletes what cannot be posted, ``look_only``
    nothing at all.
    """
    outcome = Outcome()
    given_back = []
    for kept in _read(sqs, queue_url):
        payloads = payloads_of(kept["Body"])
        done = False
        if look_only or outcome.problem:
            pass
        elif payloads:
            outcome.problem = next((said for said in map(post, payloads) if not said.startswith("delivered")), "")
            done = not outcome.problem
            outcome.delivered += done
        elif discard:
            done = True
            outcome.discarded += 1
        if done:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=kept["ReceiptHandle"])
        else:
            given_back.append(kept["ReceiptHandle"])
            outcome.left.append(describe(kept["Body"]))
    for handle in given_back:
        sqs.change_message_visibility(QueueUrl=queue_url, ReceiptHandle=handle, VisibilityTimeout=0)
    return outcome


def payloads_of(body: str) -> list[dict[str, Any]]:
    """The messages for Slack in one of the queue's; empty where it holds none."""
    record = _record(body)
    found = record["messages"] if isinstance(record.get("messages"), list) else [record.get("message")]
    return [payload for payload in found if isinstance(payload, dict)]


def describe(body: str) -> str:
    """One line of what is kept: who kept it, when and why, and what it would say."""
    record = _record(body)
    known = [str(record[name]) for name in ("at", "bot", "reason") if record.get(name)]
    said = [str(payload.get("text", "")) for payload in payloads_of(body)]
    # What else there is was written by a stranger: as JSON it stays one line.
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

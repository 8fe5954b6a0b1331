"""Deduplication in DynamoDB: a message is posted once in a window, further ones are counted.

The table has one item for each fingerprint. A bot reads it, computes the next state (`State.claim`), and writes it on
the condition that nobody else wrote meanwhile. Lambda delivers an event at least once and retries a failed one, so an
item stores which deliveries were counted, and whether the one that may post has done so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bots.log import say

#: How long a delivery is stored: Lambda retries an event for at most six hours.
RETRY_SECONDS = 6 * 3600
#: How many deliveries of each fingerprint are stored, the newest.
DELIVERIES = 300
#: How long an item is kept after its window, because it holds a count. DynamoDB then deletes it.
KEEP_SECONDS = 14 * 86400
#: How often a write is tried while others write as well.
WRITES = 8


class InFlight(Exception):
    """Another invocation has claimed this delivery and has not settled it. Lambda has to retry."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Whether to post, and how many executions were counted and not reported since the last post."""

    post: bool
    missed: int = 0
    missed_since: float = 0.0


@dataclass(frozen=True, kw_only=True)
class State:
    """The stored state of one fingerprint. Times are seconds since 1970."""

    window_ends: float = 0.0
    #: The delivery that may post in this window; when its invocation ends at the latest; whether it has posted.
    owner: str = ""
    owned_until: float = 0.0
    settled: bool = True
    #: The earlier count that the owner's post reports.
    told: int = 0
    told_since: float = 0.0
    #: The count since then.
    missed: int = 0
    missed_since: float = 0.0
    deliveries: tuple[tuple[str, float], ...] = ()
    version: int = 0

    def claim(
        self, delivery_id: str, count: int, now: float, window_seconds: float, lease_seconds: float
    ) -> tuple[State, Claim]:
        """Return the next state, and whether the caller posts. ``delivery_id`` contains ``count`` executions.

        Raises:
            InFlight: another invocation has claimed this delivery and may still be posting it.
        """
        if delivery_id == self.owner:
            if self.settled:
                return self, Claim(post=False)
            if now < self.owned_until:
                raise InFlight
            # Its invocation ended without settling: post, in the worst case a second time.
            retaken = replace(self, owned_until=now + lease_seconds, version=self.version + 1)
            return retaken, Claim(post=True, missed=self.told, missed_since=self.told_since)
        if any(delivery_id == known for known, _ in self.deliveries):
            return self, Claim(post=False)
        seen = tuple((known, at) for known, at in self.deliveries if now - at < RETRY_SECONDS)[1 - DELIVERIES :]
        following = replace(self, deliveries=(*seen, (delivery_id, now)), version=self.version + 1)
        if now < self.window_ends:
            since = self.missed_since if self.missed else now
            return replace(following, missed=self.missed + count, missed_since=since), Claim(post=False)
        # An owner that never settled may not have posted: its count is reported again rather than lost.
        told = self.missed + (0 if self.settled else self.told)
        since = self.told_since if self.told and not self.settled else self.missed_since
        opened = replace(
            following,
            window_ends=now + window_seconds,
            owner=delivery_id,
            owned_until=now + lease_seconds,
            settled=False,
            told=told,
            told_since=since,
            missed=0,
            missed_since=0.0,
        )
        return opened, Claim(post=True, missed=told, missed_since=since)

    def settle(self, delivery_id: str) -> State:
        """Return the state after the owner has posted its message, or put it into the queue."""
        if delivery_id != self.owner or self.settled:
            return self
        return replace(self, settled=True, told=0, told_since=0.0, version=self.version + 1)


@dataclass
class Deduplication:
    """The deduplication table. ``lease_seconds`` is the longest time that this invocation can take."""

    dynamodb: Any
    table: str
    window_seconds: float
    lease_seconds: float
    clock: Callable[[], float] = time.time

    def claim(self, fingerprint: str, delivery_id: str, count: int = 1) -> Claim:
        """Return whether to post. Without the table, everything is posted, perhaps twice. Raises `InFlight`."""
        try:
            claim = self._change(
                fingerprint,
                lambda state: state.claim(delivery_id, count, self.clock(), self.window_seconds, self.lease_seconds),
            )
        except (ClientError, BotoCoreError) as error:
            say("the table does not answer: posted without a check for duplicates", reason=_kind(error))
            return Claim(post=True)
        return claim

    def settle(self, fingerprint: str, delivery_id: str) -> None:
        """Record that the message which `claim` allowed is posted, or in the queue."""
        try:
            self._change(fingerprint, lambda state: (state.settle(delivery_id), Claim(post=False)))
        except (ClientError, BotoCoreError) as error:
            say("the table does not answer: a retry may post once more", reason=_kind(error))

    def _change(self, fingerprint: str, change: Callable[[State], tuple[State, Claim]]) -> Claim:
        for attempt in range(1, WRITES + 1):
            found = self.dynamodb.get_item(
                TableName=self.table, Key={"fingerprint": {"S": fingerprint}}, ConsistentRead=True
            )
            state = _decode(found.get("Item", {}))
            following, claim = change(state)
            if following == state:
                return claim
            try:
                self._write(fingerprint, following, state.version)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException" or attempt == WRITES:
                    raise
            else:
                return claim
        raise AssertionError("the last attempt returns or raises")

    def _write(self, fingerprint: str, state: State, version: int) -> None:
        expires = int(max(state.window_ends, self.clock()) + KEEP_SECONDS)
        self.dynamodb.put_item(
            TableName=self.table,
            Item={"fingerprint": {"S": fingerprint}, "expires_at": {"N": str(expires)}, **_encode(state)},
            ConditionExpression="attribute_not_exists(fingerprint) OR version = :version",
            ExpressionAttributeValues={":version": {"N": str(version)}},
        )


def _encode(state: State) -> dict[str, Any]:
    numbers = ("window_ends", "owned_until", "told", "told_since", "missed", "missed_since", "version")
    return {
        **{name: {"N": repr(getattr(state, name))} for name in numbers},
        "owner": {"S": state.owner},
        "settled": {"BOOL": state.settled},
        "deliveries": {"L": [{"S": f"{at!r} {delivery}"} for delivery, at in state.deliveries]},
    }


def _decode(item: dict[str, Any]) -> State:
    if not item:
        return State()
    deliveries = (entry["S"].partition(" ") for entry in item["deliveries"]["L"])
    return State(
        window_ends=float(item["window_ends"]["N"]),
        owner=item["owner"]["S"],
        owned_until=float(item["owned_until"]["N"]),
        settled=item["settled"]["BOOL"],
        told=int(item["told"]["N"]),
        told_since=float(item["told_since"]["N"]),
        missed=int(item["missed"]["N"]),
        missed_since=float(item["missed_since"]["N"]),
        deliveries=tuple((delivery, float(at)) for at, _, delivery in deliveries),
        version=int(item["version"]["N"]),
    )


def _kind(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__

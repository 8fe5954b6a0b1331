"""The weather of an unreliable cloud: stale reads, throttled calls and different clocks, from a seed, without any I/O.

What AWS does: reads of ECS (https://github.com/kayac/ecspresso/pull/28), ELB, IAM
(https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency) and
Secrets Manager may lag behind writes; a new task is MISSING at first
(https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html); any call may be throttled; clocks differ.
S3 is strongly consistent (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html).
Without this module: reads of the emulator are consistent, no call is throttled, and there is one clock.

The n-th draw of a kind depends only on the seed. A read is stale only if the same request was made before the write:
for up to five seconds it then gets the answer from just before the write. A lag starts at the change, not at the first
read after it: tasks that are older than the lag are visible, and so are earlier changes of health.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

Answer = tuple[int, MutableMapping[str, Any], Any]
Call = Callable[[], Awaitable[Answer]]

MAX_LAG_SECONDS = 5.0
THROTTLED_SHARE = 0.02
#: By the service's name in IAM's actions: the error code for too many calls. In JSON all use ThrottlingException.
THROTTLED = {
    "ecs": "ThrottlingException",
    "secretsmanager": "ThrottlingException",
    "logs": "ThrottlingException",
    "ecr": "ThrottlingException",
    "elasticloadbalancing": "Throttling",
    "iam": "Throttling",
    "rds": "Throttling",
    "cloudwatch": "Throttling",
}
EVENTUALLY_CONSISTENT = {"ecs", "elasticloadbalancing", "iam", "secretsmanager"}
_READS = ("Describe", "List", "Get", "BatchGet")
#: Reads no state.
_NEVER_STALE = {"secretsmanager:GetRandomPassword"}
#: How many of the newest reads are repeated before a write, for the answers from before it.
_MAX_RECENT_READS = 40
_ISO_TIME = re.compile(rb"(<LastModified>)([^<]+)(</LastModified>)")


@dataclass
class _Write:
    """One write: the answers from before it, and until when reads get them."""

    until: float
    before: dict[Any, Answer] = field(default_factory=dict)


@dataclass
class _DelayedHealth:
    """The reported health of a target group, when it was last true, and since when it has been different."""

    reported: Answer
    last_true: float
    differs_since: float | None = None
    delay: float = 0.0


class Weather:
    """The weather of one cloud. `clock` returns seconds.

    `created` returns when the task of an ARN was created, or None if that is not known.
    """

    def __init__(
        self,
        seed: int,
        clock: Callable[[], float] = time.time,
        created: Callable[[str], float | None] = lambda _: None,
    ) -> None:
        self._seed, self._clock, self._created = seed, clock, created
        self._drawn: Counter[str] = Counter()
        self._writes: dict[str, deque[_Write]] = defaultdict(deque)
        self._recent_reads: dict[str, dict[Any, Call]] = defaultdict(dict)
        self._delayed: dict[Any, _DelayedHealth] = {}
        self._visible: dict[str, float] = {}
        #: The difference between S3's clock and this machine's: one to ten minutes, ahead or behind.
        self.clock_difference = timedelta(
            seconds=round(self._draw("clock side") < 0.5 or -1) * round(60 + 540 * self._draw("clock"))
        )

    def _draw(self, kind: str) -> float:
        number = self._drawn[kind]
        self._drawn[kind] += 1
        return random.Random(f"{self._seed} {kind} {number}").random()  # noqa: S311

    async def answer(self, action: str, key: Any, call: Call, place: str = "", protocol: str = "") -> Answer:
        """Answer a request for IAM's `action`, which `call` makes.

        Equal requests have the same `key`. `place` is the account and region; reads and writes of different places are
        independent. `protocol` is json, cbor, or empty for the service's own. CloudWatch supports all of them:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-protocols-faq.html.
        A call in CBOR is never throttled here.
        """
        service, _, operation = action.partition(":")
        where = f"{service} {place}"
        if service == "s3":
            return self._shifted(await call())
        throttled = service in THROTTLED and self._draw(f"throttle {action}") < THROTTLED_SHARE
        if throttled and protocol != "cbor":
            return _throttled("ThrottlingException" if protocol == "json" else THROTTLED[service])
        if service not in EVENTUALLY_CONSISTENT or action in _NEVER_STALE:
            return await call()
        if operation.startswith(_READS):
            return await self._read(where, operation, key, call)
        return await self._write(where, call)

    async def _read(self, where: str, operation: str, key: Any, call: Call) -> Answer:
        recent = self._recent_reads[where]
        recent.pop(key, None)
        recent[key] = call
        while len(recent) > _MAX_RECENT_READS:
            del recent[next(iter(recent))]
        stale = next((write for write in self._writes[where] if self._in_effect(write) and key in write.before), None)
        answer = _copy(stale.before[key]) if stale else await call()
        if operation == "DescribeTargetHealth":
            return self._delayed_health(key, answer)
        if operation in {"DescribeTasks", "ListTasks"}:
            return self._without_new_tasks(operation, answer)
        return answer

    async def _write(self, where: str, call: Call) -> Answer:
        writes = self._writes[where]
        while writes and not self._in_effect(writes[0]):
            writes.popleft()
        before = {key: await read() for key, read in list(self._recent_reads[where].items())}
        answer = await call()
        if answer[0] < 300:
            writes.append(_Write(self._clock() + MAX_LAG_SECONDS * self._draw(f"lag {where}"), before))
        return answer

    def _in_effect(self, write: _Write) -> bool:
        return self._clock() < write.until

    def _delayed_health(self, key: Any, answer: Answer) -> Answer:
        now = self._clock()
        delayed = self._delayed.setdefault(key, _DelayedHealth(answer, now))
        if delayed.reported[2] == answer[2]:
            delayed.last_true, delayed.differs_since = now, None
        elif delayed.differs_since is None:
            delayed.differs_since, delayed.delay = delayed.last_true, MAX_LAG_SECONDS * self._draw("health")
        if delayed.differs_since is not None and now - delayed.differs_since >= delayed.delay:
            delayed.reported, delayed.last_true, delayed.differs_since = answer, now, None
        return _copy(delayed.reported)

    def _without_new_tasks(self, operation: str, answer: Answer) -> Answer:
        status, headers, body = answer
        if status != 200:
            return answer
        document = json.loads(body)
        if operation == "ListTasks":
            document["taskArns"] = [arn for arn in document["taskArns"] if self._is_visible(arn)]
        else:
            tasks = document.get("tasks", [])
            missing = [
                task["taskArn"] for task in tasks if not self._is_visible(task["taskArn"], task.get("createdAt"))
            ]
            document["tasks"] = [task for task in tasks if task["taskArn"] not in missing]
            document["failures"] = document.get("failures", []) + [{"arn": arn, "reason": "MISSING"} for arn in missing]
        return status, headers, json.dumps(document).encode()

    def _is_visible(self, arn: str, created: float | None = None) -> bool:
        """Return whether a task is visible: some time after its creation or, if that is unknown, its first read."""
        if arn not in self._visible:
            created = self._created(arn) if created is None else created
            start = self._clock() if created is None else created
            self._visible[arn] = start + MAX_LAG_SECONDS * self._draw("task")
        return self._clock() >= self._visible[arn]

    def _shifted(self, answer: Answer) -> Answer:
        """Return S3's answer with the times of S3's clock."""
        status, headers, body = answer
        headers = dict(headers)
        headers["date"] = format_datetime(
            datetime.fromtimestamp(self._clock(), UTC) + self.clock_difference, usegmt=True
        )
        for name in [name for name in headers if name.lower() == "last-modified"]:
            headers[name] = format_datetime(parsedate_to_datetime(headers[name]) + self.clock_difference, usegmt=True)
        if isinstance(body, bytes) and body.startswith(b"<?xml"):
            body = _ISO_TIME.sub(self._shift_iso, body)
        return status, headers, body

    def _shift_iso(self, found: re.Match[bytes]) -> bytes:
        moment = datetime.fromisoformat(found[2].decode()) + self.clock_difference
        return found[1] + moment.strftime("%Y-%m-%dT%H:%M:%S.000Z").encode() + found[3]


def _copy(answer: Answer) -> Answer:
    """Copy an answer, because the dispatcher adds the call's headers to it."""
    status, headers, body = answer
    return status, dict(headers), body


def _throttled(code: str) -> Answer:
    if code == "ThrottlingException":
        document = {"__type": code, "message": "Rate exceeded"}
        headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
        return 400, headers, json.dumps(document).encode()
    error = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>Rate exceeded</Message></Error>"
    return 400, {"Content-Type": "text/xml"}, f"{error}<RequestId>weather</RequestId></ErrorResponse>".encode()

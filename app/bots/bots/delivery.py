"""Post a message to Slack, or keep it in the queue: none is lost, and posting has a time limit.

Whoever knows the webhook's URL can post. So it is read from Secrets Manager at run time and is in no log, message or
error. ``fargate_ops.notify`` does the same on the controller; this package cannot import it.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from bots.log import say
from bots.slack import Payload

#: Statuses worth a retry; 429 with the pause that Slack asks for (https://api.slack.com/apis/rate-limits).
RETRYABLE = (429, 500, 502, 503, 504)
#: Slack no longer accepts this URL: the secret may contain another one by now.
REFUSED = (401, 403, 404, 410)
ATTEMPTS = 4
TIMEOUT_SECONDS = 5.0
BACKOFF_SECONDS = 0.5
#: How long a URL is used before it is read again; and how long after a failure it is not read again.
WEBHOOK_SECONDS = 300.0
NO_WEBHOOK_SECONDS = 20.0
#: Why nothing can be posted where the secret has no value.
NOT_SET = "no webhook is set"
#: A queue's message holds at least 256 KiB.
KEPT_BYTES = 250_000


class NoWebhook(Exception):
    """There is no webhook, or it cannot be read; the message says why."""


class NotPosted(Exception):
    """Slack did not accept the message; the error says why, without the URL."""


class NotKept(Exception):
    """A message was neither posted nor kept. Lambda retries the whole event, then sends it to its dead-letter queue."""


def is_safe(url: str) -> bool:
    """Return whether a post to this URL is encrypted, or stays on this machine."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for an invalid port
        return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts)))
    except ValueError:
        return False


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass
class Webhook:
    """The webhook's URL, read when needed and then cached in this container for a while."""

    secretsmanager: Any
    secret_arn: str
    clock: Callable[[], float] = time.monotonic
    _url: str = field(default="", repr=False)
    _problem: str = ""
    _read_at: float = float("-inf")

    def url(self) -> str:
        """Return the URL. Raises `NoWebhook`; a failure is cached as well, and logged once."""
        if self.clock() - self._read_at >= (NO_WEBHOOK_SECONDS if self._problem else WEBHOOK_SECONDS):
            self._read()
        if self._problem:
            raise NoWebhook(self._problem)
        return self._url

    def reread(self) -> bool:
        """Read the URL again now. Return whether it has changed."""
        before = self._url
        self._read()
        return not self._problem and self._url != before

    def _read(self) -> None:
        known = self._problem
        self._url, self._problem = "", ""
        try:
            self._url = self._value()
        except NoWebhook as problem:
            self._problem = str(problem)
            if self._problem != known:
                say("no message can be posted", reason=self._problem)
        self._read_at = self.clock()

    def _value(self) -> str:
        try:
            url = str(self.secretsmanager.get_secret_value(SecretId=self.secret_arn).get("SecretString", "")).strip()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ResourceNotFoundException":  # also: a secret without a current version
                raise NoWebhook(NOT_SET) from None
            raise NoWebhook(f"the webhook cannot be read: {code}") from None
        except BotoCoreError as error:
            raise NoWebhook(f"the webhook cannot be read: {type(error).__name__}") from None
        if not url:
            raise NoWebhook(NOT_SET)
        if not is_safe(url):
            raise NoWebhook("the webhook is not an https:// address")
        return url


@dataclass
class Delivery:
    """Delivers the messages of one invocation. ``deadline`` is the end of its time, by ``clock``.

    Where Slack is not in use, ``in_use``, and no webhook is set, nothing is posted or kept.
    """

    bot: str
    environment: str
    webhook: Webhook
    sqs: Any
    queue_url: str
    deadline: float
    in_use: bool = True
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    #: Why this invocation posts no further message: each would wait in vain as long as the one before.
    _down: str = ""

    def send(self, message: Payload) -> bool:
        """Post the message, or keep it with the reason. Return whether it was posted. Raises `NotKept`."""
        try:
            if self._down:
                raise NotPosted(self._down)
            attempts = self._post(message)
        except (NoWebhook, NotPosted) as reason:
            if self.in_use or str(reason) != NOT_SET:
                self.keep(str(reason), message=message)
            else:
                say("skipped", reason="Slack is not in use")
            return False
        say("posted", attempts=attempts)
        return True

    def keep(self, reason: str, **what: object) -> None:
        """Put a message that was not posted, or a malformed event, into the queue. Raises `NotKept`."""
        record = {"bot": self.bot, "environment": self.environment, "reason": reason, "at": _now()}
        body = json.dumps({**record, **what}, default=str)
        if (characters := len(body)) > KEPT_BYTES:  # ASCII: as many bytes
            beginning = json.dumps(what, default=str)[: KEPT_BYTES // 2]
            body = json.dumps({**record, "characters": characters, "beginning": beginning})
            say("too long for the queue: only its beginning is kept", reason=reason, characters=characters)
        try:
            self.sqs.send_message(QueueUrl=self.queue_url, MessageBody=body)
        except (ClientError, BotoCoreError) as error:
            raise NotKept(f"{reason}; and the queue did not accept it: {type(error).__name__}") from None
        say("kept in the queue", reason=reason)

    def keep_all(self, reason: str, name: str, entries: Sequence[object]) -> None:
        """Keep many messages or log lines, the list ``name``, in few messages of the queue. Raises `NotKept`."""
        while entries:
            size, count = 0, 0
            while count < len(entries) and (size := size + len(json.dumps(entries[count])) + 2) < KEPT_BYTES - 1000:
                count += 1
            self.keep(reason, **{name: entries[: count or 1]})
            entries = entries[count or 1 :]

    def is_late(self) -> bool:
        """Return whether there is no time left to post anything."""
        return self.clock() + TIMEOUT_SECONDS > self.deadline

    def seconds_left(self) -> float:
        """Return the seconds until the deadline."""
        return max(0.0, self.deadline - self.clock())

    def _post(self, message: Payload) -> int:
        """Post the message, with retries. Return the number of attempts. Raises `NoWebhook` or `NotPosted`."""
        body = json.dumps(message).encode()
        said, pause, reread = "", 0.0, False
        for attempt in range(1, ATTEMPTS + 1):
            if self.clock() + pause + TIMEOUT_SECONDS > self.deadline:
                self._down = f"no time left, {said or 'nothing was tried'}"
                raise NotPosted(self._down)
            if pause:
                self.sleep(pause)
            status, said, wanted = _attempt(self.webhook.url(), body)
            if status == 200:
                return attempt
            if status in REFUSED and not reread:
                reread = True
                if self.webhook.reread():
                    pause = 0.0
                    continue
            if status and status not in RETRYABLE:
                raise NotPosted(said)
            pause = max(wanted, BACKOFF_SECONDS * 2 ** (attempt - 1))
        self._down = f"{said}, {ATTEMPTS} attempts"
        raise NotPosted(self._down)


def _attempt(url: str, body: bytes) -> tuple[int, str, float]:
    """Return the status (0 without an answer), its description, and the seconds that Slack asks to wait."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, {"Content-Type": "application/json; charset=utf-8"})
        answer = connection.getresponse()
        text = answer.read(200).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, ValueError) as error:  # its text may name the URL
        return 0, f"no answer: {type(error).__name__}", 0.0
    finally:
        connection.close()
    # Slack's errors are words such as no_service; any other text is not repeated.
    word = f" {text}" if re.fullmatch(r"[a-z_]{1,60}", text) else ""
    after = answer.headers.get("Retry-After", "")
    return answer.status, f"HTTP {answer.status}{word}", float(after) if re.fullmatch(r"\d{1,6}", after) else 0.0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

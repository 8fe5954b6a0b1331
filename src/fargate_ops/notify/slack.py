"""The Slack messages of a release, and a notifier that can neither fail nor delay one.

The messages are pure functions. `Notifier.send` passes one to a detached child (`deliver`), which reads the webhook's
URL from Secrets Manager itself: the URL is in no argument, environment, log or result of the playbook.

https://api.slack.com/messaging/webhooks
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fargate_ops.core.project import SOURCE

#: Slack accepts 40,000 characters and recommends at most 4,000; only the reason can be long.
REASON_CHARACTERS = 1500


@dataclass(frozen=True, kw_only=True)
class Message:
    """``text`` is Slack's mrkdwn, escaped; ``summary`` is its one line in the local log."""

    summary: str
    text: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, body: str) -> Message:
        return cls(**json.loads(body))


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The facts common to all messages of a release. ``version``: the target version; ``url``: the public address."""

    environment: str
    version: str
    revision: str = ""
    by: str = ""
    url: str = ""


def started(subject: Subject, *, reason: str = "") -> Message:
    """A release started. ``reason``: why."""
    return _message(":large_blue_circle:", subject, f"release of {_code(subject.version)} started", reason)


def succeeded(subject: Subject, *, seconds: float | None = None) -> Message:
    """Only the new version serves; the release took ``seconds``."""
    return _message(
        ":large_green_circle:", subject, f"release of {_code(subject.version)} succeeded{_after(' in', seconds)}"
    )


def failed(subject: Subject, *, reason: str, next_command: str = "", seconds: float | None = None) -> Message:
    """The release failed, and the previous version serves. ``next_command``: the next step."""
    what = f"release of {_code(subject.version)} failed{_after(' after', seconds)}"
    return _message(":red_circle:", subject, what, reason, next_command)


def baking(subject: Subject, *, reason: str, next_command: str) -> Message:
    """ECS gives the requests to the release at its own pace, and nobody waits; ``next_command`` shows how far it is."""
    return _message(":hourglass:", subject, f"release of {_code(subject.version)} bakes", reason, next_command)


def unverified(subject: Subject, *, reason: str, next_command: str) -> Message:
    """The release serves but could not be verified; ``next_command`` verifies it."""
    what = f"release of {_code(subject.version)} serves and is not verified"
    return _message(":large_yellow_circle:", subject, what, reason, next_command)


def stopped(subject: Subject, *, reason: str, next_command: str = "", seconds: float | None = None) -> Message:
    """The release was stopped, for example by a rollback; ``reason`` says by whom."""
    what = f"release of {_code(subject.version)} was stopped{_after(' after', seconds)}"
    return _message(":white_circle:", subject, what, reason, next_command)


def rolled_back(
    subject: Subject, *, from_version: str, reason: str = "", next_command: str = "", seconds: float | None = None
) -> Message:
    """``subject.version`` serves again instead of ``from_version``; ``subject.by`` did it."""
    by = f" by {escape(subject.by)}" if subject.by else ""
    what = f"rolled back{by} from {_code(from_version)} to {_code(subject.version)}{_after(' in', seconds)}"
    return _message(":rewind:", replace(subject, by=""), what, reason, next_command)


def escape(text: str) -> str:
    """Escape ``text`` so that Slack shows it literally, without links or mentions.

    https://api.slack.com/reference/surfaces/formatting#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def duration(seconds: float) -> str:
    """``41 s``, ``2 min 5 s``, ``1 h 3 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _message(mark: str, subject: Subject, what: str, reason: str = "", next_command: str = "") -> Message:
    facts = [
        f"by {escape(subject.by)}" if subject.by else "",
        escape(subject.revision.rsplit("/", 1)[-1]),
        f"<{escape(subject.url)}>" if subject.url else "",
    ]
    lines = [f"{mark} *{escape(subject.environment)}*: {what}", " · ".join(filter(None, facts))]
    if reason.strip():
        lines.append(f"```{escape(_cut(reason.strip()).replace('```', chr(39) * 3))}```")
    if next_command:
        lines.append(f"Next: {_code(next_command)}")
    plain = f"{subject.environment}: {what}".replace("`", "")
    return Message(summary=" ".join(plain.split()), text="\n".join(filter(None, lines)))


def _code(text: str) -> str:
    return f"`{escape(text)}`"


def _after(word: str, seconds: float | None) -> str:
    return "" if seconds is None else f"{word} {duration(seconds)}"


def _cut(text: str) -> str:
    return text if len(text) <= REASON_CHARACTERS else f"{text[: REASON_CHARACTERS - 1].rstrip()}…"


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """The child's input, without secrets. Times in seconds; ``limit_seconds`` is the time limit of the child."""

    secret_arn: str
    region: str
    log: str
    attempts: int = 4
    timeout_seconds: float = 5
    limit_seconds: float = 60

    def to_argument(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, argument: str) -> Assignment:
        return cls(**json.loads(argument))


class Notifier:
    """Sends messages without waiting for Slack.

    The child inherits this process's environment, in which ``aws_session(action_environment(action))`` has put the
    play's endpoints and credentials.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._children: list[subprocess.Popen[bytes]] = []

    def send(self, message: Message) -> None:
        """Start the child that delivers the message. Returns at once and never raises; the outcome goes to the log."""
        if not self._assignment.secret_arn:
            record(self._assignment.log, message, "nothing sent: there is no secret for the webhook")
            return
        try:
            child = subprocess.Popen(
                [sys.executable, "-m", "fargate_ops.notify.deliver", self._assignment.to_argument()],
                cwd=SOURCE,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                close_fds=True,
            )
            self._children.append(child)
            # Smaller than a pipe's buffer, so the write does not wait for the child.
            with contextlib.closing(child.stdin) as pipe:  # type: ignore[type-var]
                pipe.write(message.to_json().encode())  # type: ignore[union-attr]
        except Exception as error:  # the release continues after any error
            record(self._assignment.log, message, f"not sent: {error!r}")

    def wait(self, seconds: float) -> None:
        """Wait until the children are done, for callers that must not exit earlier (tests). Raises TimeoutExpired."""
        for child in self._children:
            child.wait(seconds)


def record(log: str, message: Message, outcome: str) -> None:
    """Append the message's outcome to the log. A log that cannot be written is ignored."""
    line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {message.summary}: {' '.join(outcome.split())}\n"
    with contextlib.suppress(OSError):
        path = Path(log)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line)

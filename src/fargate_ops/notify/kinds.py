"""The Slack messages about a release, by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fargate_ops.notify import slack

#: The function that creates each kind of message, and the names of its arguments in addition to the subject.
KINDS: Mapping[str, tuple[Callable[..., slack.Message], tuple[str, ...]]] = {
    "started": (slack.started, ("reason",)),
    "succeeded": (slack.succeeded, ("seconds",)),
    "failed": (slack.failed, ("reason", "next_command", "seconds")),
    "stopped": (slack.stopped, ("reason", "next_command", "seconds")),
    "rolled_back": (slack.rolled_back, ("from_version", "reason", "next_command", "seconds")),
}


def message_of(kind: str, subject: slack.Subject, values: Mapping[str, Any]) -> slack.Message:
    """Return the message of this kind. Values that it does not use are ignored."""
    make, names = KINDS[kind]
    return make(subject, **{name: values[name] for name in names})

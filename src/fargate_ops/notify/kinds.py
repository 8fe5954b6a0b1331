"""The messages about a release by the kind that a playbook names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fargate_ops.notify import slack

#: What makes each kind of message, and from which values beside its subject.
KINDS: Mapping[str, tuple[Callable[..., slack.Message], tuple[str, ...]]] = {
    "started": (slack.started, ("reason",)),
    "succeeded": (slack.succeeded, ("seconds",)),
    "failed": (slack.failed, ("reason", "next_command", "seconds")),
    "stopped": (slack.stopped, ("reason", "next_command", "seconds")),
    "rolled_back": (slack.rolled_back, ("from_version", "reason", "next_command", "seconds")),
}


def message_of(kind: str, subject: slack.Subject, values: Mapping[str, Any]) -> slack.Message:
    """Return the message of this kind, from those of the values that it has a place for."""
    make, names = KINDS[kind]
    return make(subject, **{name: values[name] for name in names})

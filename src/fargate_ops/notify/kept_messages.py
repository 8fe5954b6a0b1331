"""Post the messages of a queue to the Slack webhook in a secret."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import requests

from fargate_ops.aws.clients import Clients
from fargate_ops.core.problem import CompleteError
from fargate_ops.notify.deliver import NoWebhook, post, read_webhook
from fargate_ops.notify.redelivery import redeliver
from fargate_ops.notify.slack import Assignment


def post_kept(
    clients: Clients,
    queue_url: str,
    assignment: Assignment,
    say: Callable[[str], None],
    *,
    next_command: str,
    discard: bool,
    preview: bool,
) -> dict[str, Any]:
    """Post the messages, print those that are discarded or left, and return ``changed``, ``delivered`` and ``left``.

    A preview only reads the queue.

    Raises:
        CompleteError: there is no webhook, or Slack did not accept a message.
    """
    try:
        url = "" if preview else read_webhook(clients.client("secretsmanager"), assignment.secret_arn)
    except NoWebhook as reason:
        raise CompleteError(
            f"Nothing was posted: {reason}. Next: put it there (terraform/modules/notifications/README.md), then "
            f"{next_command}"
        ) from None
    outcome = redeliver(
        clients.client("sqs"), queue_url, partial(_post, url, assignment), discard=discard, preview=preview
    )
    for line in outcome.discarded:
        say(f"discarded: {line}")
    for line in outcome.left:
        say(f"kept: {line}")
    say(f"{outcome.delivered} posted, {len(outcome.discarded)} discarded, {len(outcome.left)} left in the queue")
    if outcome.problem:
        raise CompleteError(f"Slack did not take a message: {outcome.problem}. Next: {next_command}")
    return {
        "changed": bool(outcome.delivered or outcome.discarded),
        "delivered": outcome.delivered,
        "left": outcome.left,
    }


def _post(url: str, assignment: Assignment, payload: dict[str, Any]) -> str:
    try:
        return post(url, payload, assignment)
    except requests.RequestException as error:  # its text may name the URL
        return f"not delivered: {type(error).__name__}"

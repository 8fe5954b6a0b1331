"""What the functions share: settings, clients, and the handling of a malformed event."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from bots.delivery import Delivery, Webhook
from bots.log import say

Event = Any
Handler = Callable[[Event, Any], None]

#: Reserved at the end of Lambda's time limit, to put the remaining messages into the queue.
RESERVE_SECONDS = 8.0


class Malformed(Exception):
    """The event is malformed; the message says how, without repeating its content."""


@functools.cache
def client(service: str, region: str | None = None) -> Any:
    """Return a client, cached for the container's life. Its timeouts are short: an invocation has about a minute."""
    config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 3})
    return boto3.client(service, region_name=region, config=config)


@functools.cache
def _webhook(secret_arn: str) -> Webhook:
    return Webhook(client("secretsmanager"), secret_arn)


def _delivery(bot: str, context: Any) -> Delivery:
    """Return the delivery for one invocation."""
    return Delivery(
        bot=bot,
        environment=environment(),
        webhook=_webhook(os.environ["SLACK_WEBHOOK_SECRET_ARN"]),
        sqs=client("sqs"),
        queue_url=os.environ["UNDELIVERED_QUEUE_URL"],
        deadline=time.monotonic() + max(0.0, remaining_seconds(context) - RESERVE_SECONDS),
        in_use=os.environ.get("SLACK_IN_USE", "true") != "false",
    )


def remaining_seconds(context: Any) -> float:
    """Return the seconds until Lambda's time limit for this invocation."""
    return float(context.get_remaining_time_in_millis()) / 1000


def environment() -> str:
    """Return the environment's name, or ``account`` for resources that exist once per account."""
    return os.environ.get("ENVIRONMENT", "")


def subject() -> str:
    """Return the subject of messages, for example ``settlement-staging``."""
    return "-".join(filter(None, (os.environ.get("APP_NAME", ""), environment())))


def region() -> str:
    """Return the region of this function."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")


def guarded(bot: str) -> Callable[[Callable[[Event, Delivery], None]], Handler]:
    """Make a Lambda handler of a bot's function. A malformed event goes to the queue, and the invocation succeeds.

    If the queue does not accept it (`bots.delivery.NotKept`), the invocation fails and Lambda retries.
    """

    def wrap(handle: Callable[[Event, Delivery], None]) -> Handler:
        @functools.wraps(handle)
        def handler(event: Event, context: Any) -> None:
            delivery = _delivery(bot, context)
            try:
                handle(event, delivery)
            except Malformed as problem:
                say("malformed event", reason=str(problem))
                delivery.keep(f"malformed event: {problem}", event=event)

        return handler

    return wrap

"""What the functions have in common: their settings, their clients, and an event that they cannot understand."""

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

#: What is kept back from the time that Lambda gives: enough to put what is left into the queue.
RESERVE_SECONDS = 8.0


class Malformed(Exception):
    """The event is not what it should be; the message says in what, without repeating it."""


@functools.cache
def client(service: str, region: str | None = None) -> Any:
    """One client for each service, as long as the container lives. Short timeouts: there is a minute in all."""
    config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 3})
    return boto3.client(service, region_name=region, config=config)


@functools.cache
def _webhook(secret_arn: str) -> Webhook:
    return Webhook(client("secretsmanager"), secret_arn)


def _delivery(bot: str, context: Any) -> Delivery:
    """The way to Slack for one invocation."""
    return Delivery(
        bot=bot,
        environment=environment(),
        webhook=_webhook(os.environ["SLACK_WEBHOOK_SECRET_ARN"]),
        sqs=client("sqs"),
        queue_url=os.environ["UNDELIVERED_QUEUE_URL"],
        deadline=time.monotonic() + max(0.0, remaining_seconds(context) - RESERVE_SECONDS),
    )


def remaining_seconds(context: Any) -> float:
    """What is left of the time that Lambda gives this invocation."""
    return float(context.get_remaining_time_in_millis()) / 1000


def environment() -> str:
    """The environment's name, or ``account`` for what exists once per account."""
    return os.environ.get("ENVIRONMENT", "")


def subject() -> str:
    """Whom messages are about: ``settlement-staging``."""
    return "-".join(filter(None, (os.environ.get("APP_NAME", ""), environment())))


def region() -> str:
    """Where this runs."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")


def guarded(bot: str) -> Callable[[Callable[[Event, Delivery], None]], Handler]:
    """A Lambda handler out of a bot's own function: an event that makes no sense goes to the queue, and is no failure.

    Only what could not be kept either is raised (`bots.delivery.NotKept`): then Lambda tries again.
    """

    def wrap(handle: Callable[[Event, Delivery], None]) -> Handler:
        @functools.wraps(handle)
        def handler(event: Event, context: Any) -> None:
            delivery = _delivery(bot, context)
            try:
                handle(event, delivery)
            except Malformed as problem:
                say("an event makes no sense", reason=str(problem))
                delivery.keep(f"malformed event: {problem}", event=event)

        return handler

    return wrap

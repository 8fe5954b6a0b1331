"""Send a test page through every notification path, or print its recipients."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

from fargate_ops.aws.clients import Clients
from fargate_ops.core.problem import CompleteError
from fargate_ops.notify.deliver import deliver
from fargate_ops.notify.slack import Assignment
from fargate_ops.notify.test_page import Path, last_line, of_notification, slack_message, subscribers, through_topic

Say = Callable[[str], None]


class Page(Protocol):
    """The alarm and the topic of one urgency's test page."""

    @property
    def alarm(self) -> str: ...
    @property
    def topic_arn(self) -> str: ...


def preview(clients: Clients, pages: Mapping[str, Page], say: Say) -> None:
    """Print the recipients of each urgency's page."""
    for urgency, page in pages.items():
        hears = ", ".join(subscribers(clients.client("sns"), page.topic_arn)) or "nobody"
        say(f"would page {urgency}: {hears}")
    say("would post to Slack as a release does")


def send(
    clients: Clients,
    pages: Mapping[str, Page],
    environment: str,
    by: str,
    say: Say,
    *,
    secret_arn: str,
    region: str,
    wait_seconds: float,
) -> dict[str, str]:
    """Set each alarm to ALARM and back, post a test to Slack, and print and return the outcome by path.

    Raises:
        CompleteError: a path refuses.
    """
    cloudwatch, sns = clients.client("cloudwatch"), clients.client("sns")
    paths: list[Path] = [
        through_topic(
            cloudwatch,
            sns,
            urgency=urgency,
            alarm=page.alarm,
            topic_arn=page.topic_arn,
            by=by,
            wait_seconds=wait_seconds,
        )
        for urgency, page in pages.items()
    ]
    assignment = Assignment(secret_arn=secret_arn, region=region, log=os.devnull, attempts=2)
    outcome = deliver(assignment, slack_message(environment, by), clients.client("secretsmanager"))
    paths.append(of_notification(outcome))
    for path in paths:
        say(f"{path.name}: {path.said}")
    line = last_line(environment, paths)
    if any(path.outcome == "refused" for path in paths):
        raise CompleteError(f"{line}. Next: docs/monitoring.md#undelivered")
    say(line)
    return {path.name: path.outcome for path in paths}

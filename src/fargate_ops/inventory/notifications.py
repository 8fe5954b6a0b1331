"""The rule of notifications: an outage must reach somebody."""

from __future__ import annotations

from collections.abc import Iterator

from fargate_ops.core.problem import Problem
from fargate_ops.inventory.environment import Environment


def _urgent(environment: Environment) -> Iterator[Problem]:
    """Slack's webhook is no setting, so `notifications_slack` enables it; a release checks that it has a value."""
    if not environment["notifications_required"] or environment["notifications_slack"]:
        return
    if not environment["notification_emails"]["urgent"]:
        yield environment.problem(
            ("notification_emails", "urgent"),
            "An urgent page would reach nobody: there is no address, and Slack is not in use.",
            "add an address, or set notifications_slack: true and put the webhook "
            "(terraform/modules/notifications/README.md); then make test-page shows who is reached",
            "notifications_slack",
        )


RULES = (_urgent,)

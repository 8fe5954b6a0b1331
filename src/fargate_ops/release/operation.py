"""The base of a release, a rollback and a rotation: it connects the modules that all three use."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.notify.slack import Subject
from fargate_ops.release.acceptance import Acceptance
from fargate_ops.release.admin_task import AdminTasks
from fargate_ops.release.context import Context, ReleaseError
from fargate_ops.release.ending import Failure
from fargate_ops.release.guard import Guard
from fargate_ops.release.journal import Journal
from fargate_ops.release.service import Service
from fargate_ops.terraform.stack import Stack


class Operation:
    """One change of the revision that a service runs."""

    def __init__(self, context: Context) -> None:
        self.c = context

    @property
    def ecs(self) -> Any:
        return self.c.clients.client("ecs")

    @cached_property
    def guard(self) -> Guard:
        return Guard(self.c)

    @cached_property
    def journal(self) -> Journal:
        return Journal(self.c)

    @cached_property
    def admin_tasks(self) -> AdminTasks:
        return AdminTasks(self.c, self.guard)

    @cached_property
    def service(self) -> Service:
        return Service(self.c, self.guard, self.journal, self.admin_tasks)

    @cached_property
    def acceptance(self) -> Acceptance:
        return Acceptance(self.c, self.guard, self.service)

    def ended(self, failure: Failure, conclude: Callable[[], Outcome]) -> Outcome:
        """Return the result of ``conclude``, which undoes and records a failure. If that fails too, the cause stays."""
        try:
            return conclude()
        except (ClientError, BotoCoreError, ReleaseError) as error:
            why = error.reason if isinstance(error, ReleaseError) else str(error)
            note = f"Undoing or recording it did not work: {why}"
            return failure.ended(Kind.FAILED, note, serves="", next_command=f"make status ENV={self.c.environment}")

    def subject(self, name: str, revision: str) -> Subject:
        """Return what all messages about a release share."""
        return Subject(
            environment=self.c.environment,
            version=name,
            revision=revision,
            by=self.c.by,
            url=self.c.stack.get(Stack.public_url, ""),
        )

"""The base of the three actions on a release: its context, and the reason of a failure for the ledger."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.core.outcome import Outcome
from fargate_ops.core.problem import EndError, OperationsError
from fargate_ops.notify.slack import Assignment, Notifier
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release.context import Context, Limits
from fargate_ops.release.deadline import running_for
from fargate_ops.release.ending import Failure
from fargate_ops.release.stage_checks import HttpStageChecks
from fargate_ops.release.strategy import Strategy
from fargate_ops.release.verify import Settings as VerifySettings
from fargate_ops.release.verify import Verifier
from fargate_ops.state.ledger import actor
from fargate_ops.state.lock import Machine, holder_of
from fargate_ops.terraform.stack import Stack


class ReleaseAction(OperationsAction):
    """One phase of a release, a rollback or a rotation; its arguments include ``ecs_release_context``."""

    #: What a failure names before the phase.
    verb: ClassVar[str] = ""
    #: The verb of make that repeats the flow.
    retry_verb: ClassVar[str] = "deploy"

    _phase = ""

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        self._phase = args["phase"]
        return {"plan": args["plan"]} | self.phase(args)

    def phase(self, args: dict[str, Any]) -> dict[str, Any]:
        """Do the phase; return its result, without a ``plan`` that stays as it was given."""
        raise NotImplementedError

    @property
    def subject(self) -> str:
        return ": ".join(filter(None, (self.environment, self.verb, self._phase)))

    def outcome(self, error: Exception) -> Outcome:
        """Name the phase and what it works on before the place that the error knows."""
        found = super().outcome(error)
        if isinstance(error, EndError):
            return found
        return replace(
            found, where=f"{self._phase}: {found.where or self.stack.get(Stack.service_name, 'the service')}"
        )

    def failed(self, args: Mapping[str, Any]) -> Failure:
        """Return the failure that the phase C(fail) is about."""
        return Failure.from_result(args["failure"], self.environment)

    def details(self, error: Exception) -> dict[str, Any]:
        """Add the reason, for the ledger, unless the error was not expected."""
        expected = isinstance(error, OperationsError | ClientError | BotoCoreError)
        return ({"reason": str(error)} if expected else {}) | super().details(error)

    def context(self, args: Mapping[str, Any]) -> Context:
        """Return what a release works with."""
        # This worker is a child of ansible-playbook, which holds the lock and began with the command.
        playbook = os.getppid()
        limits = dict(args["limits"])
        flow = float(limits.pop("flow"))
        clients, stack = self.session(), self.stack
        strategy = Strategy.from_arguments(args["strategy"])
        verify = VerifySettings.from_arguments(args["verify"])
        webhook = stack.get(Stack.slack_webhook_secret_arn, "")
        notifier = Notifier(Assignment(secret_arn=webhook, region=stack.region, log=args["notification_log"]))
        return Context(
            clients=clients,
            bucket=args["bucket"],
            environment=self.environment,
            stack=stack,
            application=self.application,
            limits=Limits(**limits),
            holder=holder_of(Machine.this(), playbook) if args["requires_lock"] and not self.preview else None,
            by=actor(os.environ),
            why=args["why"],
            say=self.say,
            notify=notifier.send,
            sleep=self.sleep,
            verify=lambda subject: Verifier(
                clients.client("ecs"),
                clients.client("elbv2"),
                stack,
                self.application,
                verify,
                sleep=self.sleep,
            ).verify(subject),
            checks=HttpStageChecks(
                stack.get(Stack.public_url, ""), self.application, verify, strategy, sleep=self.sleep
            ),
            strategy=strategy,
            retry_command=f"make {self.retry_verb} ENV={self.environment}",
            logs_command=f"make logs ENV={self.environment}",
            # A bake is no work: its time is not taken from the command's.
            time_left=lambda: flow + strategy.seconds - running_for(playbook),
        )

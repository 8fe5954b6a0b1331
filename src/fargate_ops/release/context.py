"""The parameters of a release, a rollback or a rotation, and their error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from fargate_ops.aws.clients import Clients
from fargate_ops.aws.retry import retry
from fargate_ops.core.application import Application
from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.core.problem import CompleteError
from fargate_ops.notify.slack import Message
from fargate_ops.release import verify
from fargate_ops.release.stage_checks import StageChecks
from fargate_ops.release.strategy import Strategy
from fargate_ops.terraform.stack import Stack

Say = Callable[[str], None]
T = TypeVar("T")

#: AWS may show a change only after a moment: number of reads, and seconds between two.
CONSISTENCY_READS = 5
CONSISTENCY_SECONDS = 2.0
#: What a person adds to a command that is to release what was rolled back.
INSIST = "ARGS='-e ecs_release_allow_rolled_back=true'"


class ReleaseError(CompleteError):
    """A release, a rollback or a rotation failed. The message says what happened and gives the next command.

    ``reason`` is one line, for the ledger. ``evidence`` is shown on the screen before the message. ``outcome`` has more
    than the message tells; without it nothing was touched, and the message's text is the cause.
    """

    kind = Kind.REFUSED

    def __init__(self, message: str, reason: str, evidence: str = "", outcome: Outcome | None = None) -> None:
        super().__init__(message, reason=reason)
        self.reason = reason
        self.evidence = evidence
        self._outcome = outcome

    def outcome(self, subject: str, next_command: str = "") -> Outcome:
        return self._outcome or super().outcome(subject, next_command)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits and polling interval of the waits, in seconds."""

    wait: float
    rollback_wait: float
    prepare_wait: float
    poll: float
    log_grace: float


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Context:
    """Everything that stays the same from phase to phase.

    ``holder`` names this run in the deployment lock; None if it needs no lock. ``say`` prints a line, ``notify`` sends
    a message to Slack. ``verify`` checks that only one revision serves, ``checks`` the stages before that. ``strategy``
    is that of a release; everything else is rolling. ``now`` is the clock of the scaling schedule.
    ``time_left`` returns how many seconds the whole command still has.
    """

    clients: Clients
    bucket: str
    environment: str
    stack: Stack
    application: Application
    limits: Limits
    holder: str | None
    by: str
    why: str
    say: Say
    notify: Callable[[Message], None]
    sleep: Callable[[float], None]
    retry_command: str
    logs_command: str
    verify: Callable[[verify.Subject], verify.Verification]
    checks: StageChecks
    strategy: Strategy
    now: Callable[[], datetime] = _utc_now
    time_left: Callable[[], float] = lambda: math.inf

    @property
    def cluster(self) -> str:
        return self.stack.cluster_name

    @property
    def service(self) -> str:
        return self.stack.service_name

    @property
    def container(self) -> str:
        return self.stack.container_name

    def retry(self, call: Callable[[], T]) -> T:
        """Return the result of ``call``, repeated after transient AWS errors.

        For reads after a change: an error there would undo the change.
        """
        return retry(call, self.say, lambda: self.sleep(CONSISTENCY_SECONDS))

"""Follow a deployment of a strategy that is not rolling: its stages, their checks, its pause, and its end.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/blue-green-deployment-how-it-works.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from fargate_ops.ecs import service_deployments, traffic
from fargate_ops.ecs.rollout import Deployment, Judgement, Snapshot, Verdict
from fargate_ops.ecs.service_deployments import CLEANING, SHIFTING, STARTING, ServiceDeployment
from fargate_ops.release.context import Context
from fargate_ops.release.guard import Guard
from fargate_ops.release.strategy import Strategy
from fargate_ops.release.verify import Subject
from fargate_ops.release.verify import Verdict as Found


class StrategyStages:
    """Judges each look at one deployment, with `find` for the ARN of its service deployment (empty: not listed yet).

    ``begun``: this run did not see the deployment begin, so it does not know how long the present stage has lasted.
    Without ``wait`` it leaves the deployment to ECS once users get the version, or once it is paused for a person.
    """

    def __init__(
        self,
        context: Context,
        guard: Guard,
        strategy: Strategy,
        deployment: Deployment,
        subject: Subject,
        find: Callable[[], str],
        *,
        begun: bool,
        wait: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.c, self._guard, self._deployment, self._subject = context, guard, deployment, subject
        self._find, self._clock, self._wait = find, clock, wait
        self._arn = self._group = ""
        self._started = clock()
        self._strategy = strategy
        self._seen: ServiceDeployment | None = None
        self._percent = 0.0
        self._at: tuple[str, float] | None = ("", 0.0) if not begun else None
        self._since: float | None = None if begun else self._started
        self._tested = self._said_pause = False
        self._shared: set[float] = set()

    @property
    def _ecs(self) -> Any:
        return self.c.clients.client("ecs")

    @property
    def seconds(self) -> float:
        """Return how long the strategy's own waits take, beside that for its tasks."""
        return self._strategy.seconds

    def judge(self, snapshot: Snapshot, judgement: Judgement) -> Judgement:
        """Return the judgement of this look: it succeeds only if ECS calls the whole deployment a success."""
        seen = self._look()
        if seen is None:
            return judgement
        if seen.goes_back:
            lost = self._guard.lost_lock()
            return Judgement(Verdict.REPLACED if lost else Verdict.FAILED, seen.cause, known=True)
        if judgement.verdict is Verdict.COMPLETED and seen.status != "SUCCESSFUL":
            return Judgement(Verdict.WAIT)
        if judgement.verdict is not Verdict.WAIT or seen.status == "SUCCESSFUL":
            return judgement
        limit = self.c.limits.wait
        if seen.stage in STARTING and self._clock() - self._started > limit:
            return Judgement(Verdict.TIMED_OUT, f"its tasks were not healthy within {limit:.0f} s")
        if seen.pause and (rejected := self._pass(seen)):
            return rejected
        shifts = seen.stage in SHIFTING and self._percent > 0
        if shifts and (rejected := self._check_share()):
            return rejected
        if not self._wait and (shifts or self._said_pause):
            return Judgement(Verdict.LEFT, self.line(snapshot))
        return judgement

    def line(self, _: Snapshot) -> str:
        """Return one line about the stage: ``10 % of the requests go to family:7, bake 1 of 5 min``."""
        return describe(self._seen, self._strategy, self._percent, self._deployment.revision_name, self._minutes())

    # -- looks ---------------------------------------------------------------------------------------------------

    def _look(self) -> ServiceDeployment | None:
        self._arn = self._arn or self._find()
        seen = service_deployments.describe(self._ecs, self._arn) if self._arn else None
        if seen is None:
            return None
        self._seen = seen
        if seen.stage in SHIFTING or seen.pause:
            self._percent = self._read_percent()
        if (seen.stage, self._percent) != self._at:
            self._since = self._clock() if self._at else None
            self._at = (seen.stage, self._percent)
        return seen

    def _read_percent(self) -> float:
        self._group = self._group or service_deployments.target_group(
            self._ecs, self._seen.target if self._seen else ""
        )
        if not self._group:
            return self._percent
        elbv2 = self.c.clients.client("elbv2")
        return traffic.percent(traffic.weights(elbv2, self.c.stack.production_listener_rule_arn), self._group)

    def _minutes(self) -> int | None:
        """Return in which minute the stage is, from 1 on; None if it is not known."""
        if self._since is None:
            return None
        return int((self._clock() - self._since) // self._strategy.minute_seconds) + 1

    # -- checks --------------------------------------------------------------------------------------------------

    def _pass(self, seen: ServiceDeployment) -> Judgement | None:
        """Check the test traffic, then continue the paused deployment, unless a person is to do that."""
        name = self._deployment.revision_name
        if not self._tested:
            found = self.c.checks.test_traffic(self._subject)
            if found.verdict is Found.WRONG:
                return Judgement(Verdict.REJECTED, f"before any user got {name}: {found.reason}", known=True)
            self.c.say(f"{'not verified: ' if found.verdict is Found.UNVERIFIED else ''}{found.reason}")
            self._tested = True
        if not self._strategy.pause:
            continue_paused(self._ecs, seen)
        elif not self._said_pause:
            self._said_pause = True
            environment = self.c.environment
            self.c.say(
                f"paused: no user gets {name} before make promote ENV={environment}; make abort ENV={environment} "
                f"undoes it{undone_at(seen)}"
            )
        return None

    def _check_share(self) -> Judgement | None:
        percent = self._percent
        if percent in self._shared:
            return None
        self._shared.add(percent)
        found = self.c.checks.share(self._subject, percent, lambda: self._read_percent() == percent)
        if found.verdict is Found.WRONG:
            reason = f"at {percent:g} % of the requests: {found.reason}"
            return Judgement(Verdict.REJECTED, reason, known=True)
        self.c.say(f"{'not verified: ' if found.verdict is Found.UNVERIFIED else ''}{found.reason}")
        return None


def continue_paused(ecs: Any, seen: ServiceDeployment) -> bool:
    """Continue a paused deployment. Return False if it is not paused any more.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/continue-service-deployment.html
    """
    if not seen.pause:
        return False
    try:
        ecs.continue_service_deployment(serviceDeploymentArn=seen.arn, hookId=seen.pause.hook, action="CONTINUE")
    except ClientError:
        # Somebody else continued it, or ECS undoes it: the next look shows which.
        now = service_deployments.describe(ecs, seen.arn)
        if now and now.pause == seen.pause and not now.goes_back:
            raise
        return False
    return True


def undone_at(seen: ServiceDeployment) -> str:
    """Return when ECS undoes a paused deployment by itself, as a part of a sentence."""
    expires = seen.pause.expires if seen.pause else None
    return f"; ECS undoes it at {clock_time(expires)}" if expires else ""


def clock_time(moment: datetime) -> str:
    """Return a time of this machine's zone."""
    return f"{moment.astimezone():%H:%M:%S}"


def describe(
    seen: ServiceDeployment | None, strategy: Strategy, percent: float, name: str, minutes: int | None = None
) -> str:
    """Return what a deployment does now, in one line. ``minutes`` is the minute of the bake; None if not known."""
    if seen is None:
        return ""
    if seen.goes_back:
        return f"the requests go back from {name}"
    if seen.pause:
        return f"paused: only test requests get {name}"
    if seen.stage in STARTING:
        return f"the new tasks start for {strategy.name}"
    if seen.stage in SHIFTING and percent:
        wait = strategy.minutes_at(percent)
        bake = f", bake {f'{min(minutes, wait)} of ' if minutes else 'of '}{wait} min" if wait else ""
        return f"{percent:g} % of the requests go to {name}{bake}"
    if seen.stage == CLEANING:
        return f"all requests go to {name}, and the old tasks stop"
    return f"only test requests get {name}"

"""The rules by which an Application Load Balancer decides whether a target is healthy, without any I/O.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
"""

from __future__ import annotations

import dataclasses
import enum


class State(enum.StrEnum):
    """``TargetHealth.State`` of DescribeTargetHealth."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    UNUSED = "unused"


@dataclasses.dataclass(frozen=True)
class Health:
    """A target's ``TargetHealth`` in DescribeTargetHealth; a healthy one has no reason."""

    state: State
    reason: str = ""
    description: str = ""


REGISTERING = Health(State.INITIAL, "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING = Health(State.INITIAL, "Elb.InitialHealthChecking", "Initial health checks in progress")
HEALTHY = Health(State.HEALTHY)
DRAINING = Health(State.DRAINING, "Target.DeregistrationInProgress", "Target deregistration is in progress")
NOT_IN_USE = Health(
    State.UNUSED,
    "Target.NotInUse",
    "Target group is not configured to receive traffic from the load balancer",
)
CHECKS_DISABLED = Health(State.HEALTHY, "Target.HealthCheckDisabled", "Health checks are disabled for this target")


@dataclasses.dataclass(frozen=True)
class Settings:
    """The health check of a target group. Times are in seconds."""

    path: str
    port: int | None
    """None means ``traffic-port``: the port that the target was registered with."""
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int
    matcher: str
    """Success codes: ``200``, ``200,202`` or ``200-299``."""
    enabled: bool = True


@dataclasses.dataclass(frozen=True)
class Failure:
    """The reason for a failed check: a reason code of DescribeTargetHealth, and its description."""

    reason: str
    description: str

    @classmethod
    def status(cls, code: int) -> Failure:
        return cls("Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{code}]")

    @classmethod
    def timed_out(cls) -> Failure:
        return cls("Target.Timeout", "Request timed out")

    @classmethod
    def no_answer(cls) -> Failure:
        return cls("Target.FailedHealthChecks", "Health checks failed")


def matches(matcher: str, status: int) -> bool:
    """Return whether a status code is one of the target group's success codes."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False


class Machine:
    """Tracks the health of one target as its checks pass and fail.

    A new target needs one passing check. An unhealthy target needs ``healthy_threshold`` passing checks in a row.
    ``unhealthy_threshold`` failures in a row make any target unhealthy.
    """

    def __init__(self) -> None:
        self.health = REGISTERING
        self._passed = 0
        self._failed = 0

    def passed(self, settings: Settings) -> None:
        self._failed = 0
        self._passed += 1
        needed = 1 if self.health.state is State.INITIAL else settings.healthy_threshold
        if self.health.state is not State.HEALTHY and self._passed >= needed:
            self.health = HEALTHY

    def failed(self, failure: Failure, settings: Settings) -> None:
        self._passed = 0
        self._failed += 1
        if self._failed >= settings.unhealthy_threshold or self.health.state is State.UNHEALTHY:
            self.health = Health(State.UNHEALTHY, failure.reason, failure.description)
        elif self.health.state is State.INITIAL:
            self.health = CHECKING

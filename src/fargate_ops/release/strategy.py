"""Release strategies: what an update of the service tells ECS about the way in which it replaces the running version.

ECS itself shifts the traffic, evaluates the alarms and undoes a deployment:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/canary-deployment.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/linear-deployment.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-blue-green.html

Terraform does not own these settings. So every update of ours that may start a deployment sends the whole document:
a field that is left out would keep the value of the release before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count, takewhile
from typing import Any, Self

from fargate_ops.core.problem import ProblemError
from fargate_ops.terraform.stack import Output, Stack

#: The stage at which a deployment waits for the checks of the test traffic, and for `make promote`.
#: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/pause-lifecycle-hooks.html
PAUSE_STAGE = "POST_TEST_TRAFFIC_SHIFT"


class Name(StrEnum):
    """The strategies; the values are the inventory's."""

    ROLLING = "rolling"
    BLUE_GREEN = "blue_green"
    CANARY = "canary"
    LINEAR = "linear"


@dataclass(frozen=True)
class SmokeCheck:
    """A request of the test traffic and its answer: the status, and JSON values that the body has to contain."""

    path: str
    status: int = 200
    json: Any = None


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How ECS replaces the running version. Percents are of the requests; a minute lasts ``minute_seconds``.

    ``pause``: the deployment waits for `make promote` before users get the new version, for ``pause_minutes`` at most.
    ``test_header`` is the name and the value of the header that marks test traffic.
    """

    name: Name = Name.ROLLING
    canary_percent: float = 0.0
    canary_minutes: int = 0
    step_percent: float = 100.0
    step_minutes: int = 0
    bake_minutes: int = 0
    pause: bool = False
    pause_minutes: int = 0
    test_header: tuple[str, str] = ("", "")
    smoke_checks: Sequence[SmokeCheck] = ()
    minute_seconds: float = 60.0

    @classmethod
    def from_arguments(cls, args: Mapping[str, Any]) -> Self:
        """Return the strategy of the role's variable ``ecs_release_strategy``."""
        header = args["test_header"]
        return cls(
            **{
                **args,
                "name": Name(args["name"]),
                "test_header": (str(header["name"]), str(header["value"])),
                "smoke_checks": tuple(SmokeCheck(**item) for item in args["smoke_checks"]),
            }
        )

    @property
    def is_rolling(self) -> bool:
        return self.name is Name.ROLLING

    @property
    def steps(self) -> list[tuple[float, int]]:
        """Return the percents that the new version gets, in order, each with the minutes that ECS waits at it."""
        if self.is_rolling:
            return []
        last = (100.0, self.bake_minutes)
        if self.name is Name.CANARY:
            return [(self.canary_percent, self.canary_minutes), last]
        if self.name is Name.LINEAR:
            shares = (round(number * self.step_percent, 1) for number in count(1))
            return [*((share, self.step_minutes) for share in takewhile(lambda share: share < 100, shares)), last]
        return [last]

    def minutes_at(self, share: float) -> int:
        """Return how many minutes ECS waits at a share."""
        return sum(minutes for percent, minutes in self.steps if percent == share)

    def minutes_left(self, share: float = 0.0) -> int:
        """Return how many minutes ECS waits from the begin of a share on, without a pause."""
        return sum(minutes for percent, minutes in self.steps if percent >= share)

    @property
    def seconds(self) -> float:
        """Return how long the strategy's own waits take, with the pause."""
        pause = 0 if self.is_rolling or not self.pause else self.pause_minutes
        return (self.minutes_left() + pause) * self.minute_seconds

    def in_flight(self, configuration: Mapping[str, Any]) -> Self:
        """Return the strategy of a deployment in flight, from its ``deploymentConfiguration``; the rest is ours."""
        canary, linear = (configuration.get(f"{kind}Configuration") or {} for kind in ("canary", "linear"))
        return replace(
            self,
            name=name_in(configuration),
            canary_percent=float(canary.get("canaryPercent", 0)),
            canary_minutes=int(canary.get("canaryBakeTimeInMinutes", 0)),
            step_percent=float(linear.get("stepPercent", 100)),
            step_minutes=int(linear.get("stepBakeTimeInMinutes", 0)),
            bake_minutes=int(configuration.get("bakeTimeInMinutes") or 0),
        )

    # -- what an update sends --------------------------------------------------------------------------------------

    def deployment_configuration(self, stack: Stack) -> dict[str, Any]:
        """Return the whole ``deploymentConfiguration``; empty for a stack from before there were strategies.

        The circuit breaker counts for rolling only; ECS accepts it with all:
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html

        Raises:
            ProblemError: the infrastructure does not have what this strategy needs.
        """
        alarms = stack.get(Stack.deployment_alarm_names, None)
        maximum = stack.get(Stack.app_deployment_maximum_percent, None)
        if not self.is_rolling:
            require_infrastructure(self, stack)
        elif alarms is None or maximum is None:
            return {}
        names = [*(alarms or []), *([] if self.is_rolling else stack.release_gate_alarm_names)]
        return {
            "strategy": self.name.upper(),
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
            "minimumHealthyPercent": 100,
            "maximumPercent": maximum,
            "alarms": {"alarmNames": sorted(names), "enable": bool(names), "rollback": bool(names)},
            "lifecycleHooks": [] if self.is_rolling else [self._pause_hook()],
            **({} if self.is_rolling else {"bakeTimeInMinutes": self.bake_minutes}),
            **self._shift(),
        }

    def _pause_hook(self) -> dict[str, Any]:
        """Return the hook that holds every deployment until its test traffic is checked: nobody gets it before."""
        return {
            "targetType": "PAUSE",
            "lifecycleStages": [PAUSE_STAGE],
            "timeoutConfiguration": {"timeoutInMinutes": self.pause_minutes, "action": "ROLLBACK"},
        }

    def _shift(self) -> dict[str, Any]:
        if self.name is Name.CANARY:
            canary = {"canaryPercent": self.canary_percent, "canaryBakeTimeInMinutes": self.canary_minutes}
            return {"canaryConfiguration": canary}
        if self.name is Name.LINEAR:
            linear = {"stepPercent": self.step_percent, "stepBakeTimeInMinutes": self.step_minutes}
            return {"linearConfiguration": linear}
        return {}

    def __str__(self) -> str:
        shares = dict.fromkeys(f"{share:g} %" for share, _ in self.steps)
        return f"{self.name} ({', '.join(shares)})" if shares else self.name


#: How a first release, a rollback, a rotation and every way back update the service.
ROLLING = Strategy()


def name_in(configuration: Mapping[str, Any]) -> Name:
    """Return the strategy that a ``deploymentConfiguration`` names; without a name, it is rolling."""
    return Name(str(configuration.get("strategy") or Name.ROLLING).lower())


def require_infrastructure(strategy: Strategy, stack: Stack) -> None:
    """Refuse a strategy whose second target group, listener rules and role do not exist yet.

    Raises:
        ProblemError: with the command that makes them.
    """
    outputs: tuple[Output[Any], ...] = (
        Stack.alternate_target_group_arn,
        Stack.production_listener_rule_arn,
        Stack.test_listener_rule_arn,
        Stack.load_balancer_role_arn,
        Stack.release_gate_alarm_names,
        Stack.deployment_alarm_names,
        Stack.app_deployment_maximum_percent,
    )
    if missing := [item.name for item in outputs if stack.get(item, None) is None]:
        raise ProblemError(
            f"The strategy {strategy.name} needs infrastructure that {stack.environment} does not have yet: "
            f"{', '.join(missing)}. Nothing was changed.",
            "release_strategy",
            f"make deploy ENV={stack.environment}",
        )


def attached(service: Mapping[str, Any], stack: Stack) -> bool:
    """Return whether the service has the advanced configuration that every strategy but rolling needs."""
    return load_balancers(service, stack) == [_sent(item) for item in service["loadBalancers"]]


def load_balancers(service: Mapping[str, Any], stack: Stack) -> list[dict[str, Any]]:
    """Return the service's ``loadBalancers`` with the advanced configuration; its first target group stays.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/alb-resources-for-blue-green.html
    """
    (balancer,) = service["loadBalancers"]
    groups = [stack.target_group_arn, stack.alternate_target_group_arn]
    other = next(group for group in reversed(groups) if group != balancer["targetGroupArn"])
    advanced = {
        "alternateTargetGroupArn": other,
        "productionListenerRule": stack.production_listener_rule_arn,
        "testListenerRule": stack.test_listener_rule_arn,
        "roleArn": stack.load_balancer_role_arn,
    }
    return [{**_sent(balancer), "advancedConfiguration": advanced}]


def _sent(balancer: Mapping[str, Any]) -> dict[str, Any]:
    names = ("targetGroupArn", "containerName", "containerPort", "advancedConfiguration")
    return {name: balancer[name] for name in names if name in balancer}

"""The arithmetic of deployments that shift traffic, without any I/O: their limits and their steps.

Sources: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html,
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CanaryConfiguration.html,
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_LinearConfiguration.html
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator, Mapping
from typing import Any

Configuration = Mapping[str, Any]


class Strategy(enum.StrEnum):
    ROLLING = "ROLLING"
    BLUE_GREEN = "BLUE_GREEN"
    CANARY = "CANARY"
    LINEAR = "LINEAR"


LONGEST_MINUTES = 1_440
LONGEST_PAUSE_MINUTES = 14 * 24 * 60
#: The configuration of each strategy: its key, its percent with the least and the default one, its minutes with theirs.
_SHARES = {
    Strategy.CANARY: ("canaryConfiguration", "canaryPercent", 0.1, 5.0, "canaryBakeTimeInMinutes", 10),
    Strategy.LINEAR: ("linearConfiguration", "stepPercent", 3.0, 10.0, "stepBakeTimeInMinutes", 6),
}
STAGES = (
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
)
"""The stages of a deployment. A hook may stand at each but SCALE_UP, BAKE_TIME and CLEAN_UP."""
_WITHOUT_HOOK = ("SCALE_UP", "BAKE_TIME", "CLEAN_UP")


@dataclasses.dataclass(frozen=True)
class Step:
    """A shift of traffic: the new revision's percent of the requests, and the minutes until the next one."""

    percent: float
    minutes: float


def strategy_of(configuration: Configuration) -> Strategy:
    return Strategy(configuration.get("strategy") or Strategy.ROLLING)


def steps(configuration: Configuration) -> tuple[Step, ...]:
    """Return the steps to all of the traffic."""
    strategy = strategy_of(configuration)
    if strategy not in _SHARES:
        return (Step(100, 0),)
    percent, minutes = _share(configuration, strategy)
    shares = [percent]
    while strategy is Strategy.LINEAR and shares[-1] + percent < 100:
        shares.append(round(shares[-1] + percent, 1))
    return (*(Step(share, minutes) for share in shares if share < 100), Step(100, 0))


def weights(percent: float) -> tuple[int, int]:
    """Return the weights of the new and of the old target group. A weight is a whole number up to 999."""
    scale = 1 if float(percent).is_integer() else 9
    return round(percent * scale), round((100 - percent) * scale)


def without_others(configuration: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without what belongs to other strategies than its own."""
    strategy = strategy_of(configuration)
    other = {key for name, (key, *_) in _SHARES.items() if name is not strategy}
    if strategy is Strategy.ROLLING:
        other.add("bakeTimeInMinutes")
    return {key: value for key, value in configuration.items() if key not in other}


def refusal(given: Configuration, merged: Configuration) -> str:
    """Return why ECS refuses a configuration; empty if it takes it. `merged`: with what the service has already."""
    if (merged.get("strategy") or "ROLLING") not in list(Strategy):
        return f"The deployment strategy {merged['strategy']} is not supported."
    return next(_refusals(given, merged), "")


def _refusals(given: Configuration, merged: Configuration) -> Iterator[str]:
    strategy = strategy_of(merged)
    for name, (key, percent_key, least, _, minutes_key, _) in _SHARES.items():
        if key in given and name is not strategy:
            yield f"{key} is only valid with the deployment strategy {name}."
        if name is strategy:
            percent, minutes = _share(merged, name)
            if not least <= percent <= 100 or round(percent * 10) != round(percent * 10, 6):
                yield f"{percent_key} must be a multiple of 0.1 from {least} to 100.0."
            if minutes not in range(LONGEST_MINUTES + 1):
                yield f"{minutes_key} must be from 0 to {LONGEST_MINUTES}."
    bake = merged.get("bakeTimeInMinutes")
    if strategy is Strategy.BLUE_GREEN and bake is None:
        yield "bakeTimeInMinutes is required with the deployment strategy BLUE_GREEN."
    if bake is not None and bake not in range(LONGEST_MINUTES + 1):
        yield f"bakeTimeInMinutes must be from 0 to {LONGEST_MINUTES}."
    for hook in merged.get("lifecycleHooks") or []:
        if (hook.get("targetType") or "AWS_LAMBDA") != "PAUSE":
            yield "This local cloud runs lifecycle hooks of the type PAUSE only."
        stages = hook.get("lifecycleStages") or []
        if not stages or any(stage not in STAGES or stage in _WITHOUT_HOOK for stage in stages):
            yield "A lifecycle hook needs lifecycleStages at which a hook may stand."
        minutes = (hook.get("timeoutConfiguration") or {}).get("timeoutInMinutes", 1)
        if minutes not in range(1, LONGEST_PAUSE_MINUTES + 1):
            yield f"timeoutInMinutes must be from 1 to {LONGEST_PAUSE_MINUTES}."


def _share(configuration: Configuration, strategy: Strategy) -> tuple[float, int]:
    """Return the percent and the minutes of a canary or of a linear step."""
    key, percent_key, _, percent, minutes_key, minutes = _SHARES[strategy]
    settings = configuration.get(key) or {}
    return float(settings.get(percent_key, percent)), int(settings.get(minutes_key, minutes))

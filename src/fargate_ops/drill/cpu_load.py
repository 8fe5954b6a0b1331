"""Watch auto scaling add tasks under load, and remove them afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from fargate_ops.drill.steady_state import DrillError, ServiceState
from fargate_ops.ecs.scaling import ScalableTarget

Say = Callable[[str], None]

POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """The service is steady with another desired count. ``outside`` are the counts seen outside the limits."""

    desired: int
    seconds: float
    outside: list[int]
    limits: str

    def to_plain(self) -> dict[str, Any]:
        return asdict(self)


def wait_until_scaled(
    read_state: Callable[[], ServiceState],
    target: ScalableTarget,
    reached: Callable[[int], bool],
    limit_seconds: float,
    say: Say,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Scaled:
    """Wait until auto scaling has `reached` a desired count, and the service is steady with it.

    Raises:
        DrillError: it has not within the limit, or there is no scalable target.
    """
    started, said, outside = clock(), "", list[int]()
    while True:
        registered = target.registered()
        if registered is None:
            raise DrillError("the service has no scalable target")
        limits, seen = registered.limits, read_state()
        if not limits.minimum <= seen.desired <= limits.maximum:
            outside.append(seen.desired)
        line = f"{seen.desired} tasks desired, {seen.running} run, targets: {seen.targets_text}"
        if line != said:
            say(f"  {clock() - started:5.1f} s  {line}")
            said = line
        if reached(seen.desired) and not seen.missing:
            seconds = round(clock() - started, 1)
            return Scaled(desired=seen.desired, seconds=seconds, outside=outside, limits=str(limits))
        if clock() - started > limit_seconds:
            raise DrillError(f"auto scaling did not act within {limit_seconds:.0f} s: {line}, {limits} allowed")
        sleep(POLL_SECONDS)

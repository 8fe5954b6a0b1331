"""The decisions of target tracking, by tables: 60 percent, cool-downs of one and five minutes, 2 to 8 tasks."""

from __future__ import annotations

from typing import Any

import pytest

from local_cloud.moto_server.tracking import Alarm, Change, Policy, Service, Step, decide

POLICY = Policy(target=60, scale_out_cooldown=1, scale_in_cooldown=5)
CALM = [10.0] * 15


def service(minutes: list[float | None], *, tasks: int = 4, **changes: Any) -> Service:
    settings = {"running": tasks, "desired": tasks, "minimum": 2, "maximum": 8}
    return Service(minutes=minutes, **{**settings, **changes})


def more(desired: int) -> Change:
    return Change(desired=desired, alarm=Alarm.HIGH)


def fewer(desired: int) -> Change:
    return Change(desired=desired, alarm=Alarm.LOW)


@pytest.mark.parametrize(
    ("minutes", "change"),
    [
        pytest.param([90, 90, 90], more(6), id="in proportion: 4 x 90 / 60"),
        pytest.param([90, 90, 61], more(5), id="the newest value counts, rounded up"),
        pytest.param([60.1, 60.1, 60.1], more(5), id="just above the target"),
        pytest.param([60, 60, 60], None, id="at the target"),
        pytest.param([90, 90], None, id="two minutes only"),
        pytest.param([90, 60, 90], None, id="one of the three is not above"),
        pytest.param([10, 90, 90, 90], more(6), id="what was before does not count"),
        pytest.param([90, None, 90, None, 90], more(6), id="minutes without data are skipped"),
        pytest.param([90, 90, 90, None, None, None, None], None, id="too long without data"),
        pytest.param([], None, id="no data at all"),
        pytest.param([100, 100, 100], more(7), id="every task at its limit"),
    ],
)
def test_tasks_are_added(minutes: list[float | None], change: Change | None) -> None:
    assert decide(POLICY, service(minutes)) == change


@pytest.mark.parametrize(
    ("minutes", "change"),
    [
        pytest.param([53.9] * 15, fewer(3), id="just below nine tenths of the target, one task less"),
        pytest.param([54.0] * 15, None, id="at nine tenths"),
        pytest.param([0.0] * 15, fewer(3), id="not in proportion"),
        pytest.param([10.0] * 14, None, id="fourteen minutes only"),
        pytest.param([*[10.0] * 14, 54.0], None, id="the newest is not below"),
        pytest.param([54.0, *[10.0] * 14], None, id="the oldest is not below"),
        pytest.param([54.0, *CALM], fewer(3), id="what was before does not count"),
        pytest.param([*[10.0] * 7, None, *[10.0] * 8], fewer(3), id="a minute without data is skipped"),
        pytest.param([None] * 18, None, id="no data is not low"),
    ],
)
def test_tasks_are_removed_more_gradually(minutes: list[float | None], change: Change | None) -> None:
    assert decide(POLICY, service(minutes)) == change


@pytest.mark.parametrize(
    ("minutes", "changes", "change"),
    [
        pytest.param([100, 100, 100], {"tasks": 6}, more(8), id="the maximum"),
        pytest.param([100, 100, 100], {"tasks": 8}, None, id="at the maximum"),
        pytest.param([100, 100, 100], {"tasks": 9}, None, id="above it, adding changes nothing"),
        pytest.param([61, 61, 61], {"tasks": 1, "minimum": 3}, more(3), id="below the minimum, up to it"),
        pytest.param(CALM, {"tasks": 2}, None, id="at the minimum"),
        pytest.param(CALM, {"tasks": 1}, None, id="below it, removing changes nothing"),
        pytest.param(CALM, {"tasks": 12}, fewer(8), id="above the maximum, down to it"),
    ],
)
def test_the_limits_hold(minutes: list[float | None], changes: dict[str, int], change: Change | None) -> None:
    assert decide(POLICY, service(minutes, **changes)) == change


@pytest.mark.parametrize(
    ("minutes", "changes", "change"),
    [
        pytest.param([90, 90, 90], {"is_out_suspended": True}, None, id="out suspended"),
        pytest.param([90, 90, 90], {"is_in_suspended": True}, more(6), id="out, while in is suspended"),
        pytest.param(CALM, {"is_in_suspended": True}, None, id="in suspended"),
        pytest.param(CALM, {"is_out_suspended": True}, fewer(3), id="in, while out is suspended"),
        pytest.param(CALM, {"is_deploying": True}, None, id="a deployment suspends in"),
        pytest.param([90, 90, 90], {"is_deploying": True}, more(6), id="a deployment does not suspend out"),
        pytest.param(
            [90, 90, 90], {"is_deploying": True, "running": 8}, more(6), id="old and new tasks do not count twice"
        ),
    ],
)
def test_suspensions_and_deployments(
    minutes: list[float | None], changes: dict[str, Any], change: Change | None
) -> None:
    assert decide(POLICY, service(minutes, **changes)) == change


def test_a_policy_may_never_scale_in() -> None:
    policy = Policy(target=60, scale_out_cooldown=1, scale_in_cooldown=5, may_scale_in=False)
    assert decide(policy, service(list(CALM))) is None
    assert decide(policy, service([90, 90, 90])) == more(6)


def out(minutes_ago: float) -> Step:
    return Step(alarm=Alarm.HIGH, running=2, minutes_ago=minutes_ago)


def down(minutes_ago: float) -> Step:
    return Step(alarm=Alarm.LOW, running=5, minutes_ago=minutes_ago)


@pytest.mark.parametrize(
    ("minutes", "last", "change"),
    [
        # 2 tasks ran at 90 %, so 3 were desired.
        pytest.param([90, 90, 90], out(0.9), None, id="what was added counts during the cool-down"),
        pytest.param([90, 90, 100], out(0.9), more(4), id="a larger step does not wait"),
        pytest.param([90, 90, 90], out(1.0), more(5), id="after the cool-down, from the tasks that run"),
        pytest.param([90, 90, 90], down(0.1), more(5), id="a removal delays no addition"),
        pytest.param(CALM, down(4.9), None, id="a removal delays the next"),
        pytest.param(CALM, down(5.0), fewer(2), id="after its cool-down"),
        pytest.param(CALM, out(0.1), fewer(2), id="an addition delays no removal"),
    ],
)
def test_cooldowns(minutes: list[float | None], last: Step, change: Change | None) -> None:
    assert decide(POLICY, service(minutes, tasks=3, last=last)) == change


def test_the_count_starts_from_the_tasks_that_run() -> None:
    assert decide(POLICY, service([90, 90, 90], desired=6, running=4)) is None, "two are still starting"
    assert decide(POLICY, service([90, 90, 90], desired=6, running=5)) == more(8)

"""When AWS's cron fires, and which limits hold then. tests/terraform tests the real expressions on the plan."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fargate_ops.aws.cron import CronError, parse
from fargate_ops.ecs.schedule import Capacity, Change, capacity_at, next_change
from fargate_ops.terraform.stack import ServiceScaling

SEOUL = ZoneInfo("Asia/Seoul")
TARGET: dict[str, Any] = {
    "min_capacity": 2,
    "max_capacity": 4,
    "timezone": "Asia/Seoul",
    "scheduled_actions": [
        {"schedule": "cron(5 9 28 1,3 ? 2026)", "min_capacity": 3, "max_capacity": 6},
        {"schedule": "cron(5 9 1 * ? 2026)", "min_capacity": 3, "max_capacity": 6},
        {"schedule": "cron(0 0 2 * ? 2026)", "min_capacity": 2, "max_capacity": 4},
    ],
}


def at(month: int, day: int, hour: int = 0, minute: int = 0, *, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=SEOUL)


def numbers(low: int, high: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=1, max_size=4)


@settings(max_examples=60)
@given(
    numbers(0, 59),
    numbers(0, 23),
    numbers(1, 31),
    numbers(1, 12),
    numbers(2024, 2029),
    st.datetimes(datetime(2023, 1, 1), datetime(2030, 12, 31)),
)
def test_last_and_next_are_what_a_look_at_every_day_finds(
    minute: list[int], hour: list[int], day: list[int], month: list[int], year: list[int], naive: datetime
) -> None:
    fields = [",".join(map(str, field)) for field in (minute, hour, day, month)]
    cron = parse(f"cron({' '.join(fields)} ? {','.join(map(str, year))})")
    days = (date(2024, 1, 1) + timedelta(days=number) for number in range(366 * 6))
    fires = [
        datetime(one.year, one.month, one.day, h, m, tzinfo=SEOUL)
        for one in days
        if one.day in day and one.month in month and one.year in year
        for h in sorted(set(hour))
        for m in sorted(set(minute))
    ]
    for moment in (naive.replace(tzinfo=SEOUL), *fires[:1], *fires[-1:]):
        assert cron.last(moment, SEOUL) == max((fire for fire in fires if fire <= moment), default=None)
        assert cron.after(moment, SEOUL) == min((fire for fire in fires if fire > moment), default=None)


def test_a_range_a_star_and_a_year_that_is_not_its_own_in_utc() -> None:
    cron = parse("cron(0 0 1-2 1 ? *)")
    assert cron.last(at(1, 1), SEOUL) == at(1, 1)
    assert cron.last(at(1, 1) - timedelta(seconds=1), SEOUL) == at(1, 2, year=2025)
    assert cron.after(at(1, 1), SEOUL) == at(1, 2)


def test_a_time_that_the_zone_has_twice_counts_once() -> None:
    new_york = ZoneInfo("America/New_York")
    cron = parse("cron(30 1 1 11 ? 2026)")
    first = cron.after(datetime(2026, 10, 1, tzinfo=UTC), new_york)
    assert first == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert cron.after(first, new_york) is None


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 day)",
        "cron(0 0 28 * ?)",
        "cron(0 0 28 * * *)",
        "cron(0 0 L-3 * ? *)",
        "cron(0 0 L * ? *)",
        "cron(0 0 28 JAN ? *)",
        "cron(0/5 0 28 * ? *)",
        "cron(60 0 28 * ? *)",
        "cron(0 24 28 * ? *)",
        "cron(0 0 0 * ? *)",
        "cron(0 0 28 13 ? *)",
        "cron(0 0 28 * ? 1969)",
        "cron(0 0 9-7 * ? *)",
        "cron(0 0 1, * ? *)",
    ],
)
def test_what_is_not_read_is_refused(expression: str) -> None:
    with pytest.raises(CronError, match=r"^(cron|rate)\("):
        parse(expression)


@pytest.mark.parametrize(
    ("moment", "limits"),
    [
        (at(1, 28, 9, 4), (2, 4)),
        (at(1, 28, 9, 5), (3, 6)),
        (at(1, 28, 0, 5).astimezone(UTC), (2, 4)),
        (at(2, 1, 23, 59), (3, 6)),
        (at(2, 2), (2, 4)),
        (at(12, 31), (2, 4)),
        (at(1, 1, year=2020), (2, 4)),
    ],
)
def test_the_last_action_decides(moment: datetime, limits: tuple[int, int]) -> None:
    assert capacity_at(ServiceScaling(TARGET), moment) == limits


def test_what_comes_next_are_other_limits_and_not_the_same_again() -> None:
    target = ServiceScaling(TARGET)
    assert next_change(target, at(1, 20)) == Change(at=at(1, 28, 9, 5), capacity=Capacity(3, 6))
    assert next_change(target, at(1, 28, 9, 5)) == Change(at=at(2, 2), capacity=Capacity(2, 4))
    assert next_change(target, at(12, 2)) is None


@pytest.mark.parametrize("without", [{"scheduled_actions": []}, {"scheduled_actions": None, "timezone": None}])
def test_without_a_schedule_the_given_limits_hold(without: dict[str, Any]) -> None:
    target = ServiceScaling(TARGET | without)
    assert capacity_at(target, at(1, 29)) == (2, 4)
    assert next_change(target, at(1, 29)) is None

"""Requirement B2 over the rendered plan: when the limits change, for every day and every month, against the calendar.

The calendar here is computed from Python's own (`calendar.monthrange`), and knows nothing of cron. One check compares
it with the actions of a plan; that the check sees anything at all is shown by changing each number of the plan by one.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fargate_ops.aws.cron import RANGES, parse
from fargate_ops.ecs.schedule import Capacity, capacity_at, next_change
from fargate_ops.terraform.stack import ServiceScaling
from tests.terraform.terraform import plans_of_tests

#: The years of every day, and those of every change: as far as the plan's lists go.
EVERY_DAY, EVERY_CHANGE = range(2025, 2036), range(2025, 2100)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """What should hold, by the words of the requirement."""

    zone: ZoneInfo
    starts: time
    ends: time
    usual: Capacity
    peak: Capacity

    def at(self, day: date, clock: time) -> datetime:
        return datetime.combine(day, clock, self.zone)

    def holds(self, moment: datetime) -> Capacity:
        """Three days before the end of a month, through its last day and the 1st, until the hour of the 2nd."""
        local = moment.astimezone(self.zone)
        days_left = calendar.monthrange(local.year, local.month)[1] - local.day
        begun = days_left < 3 or (days_left == 3 and local.time() >= self.starts)
        not_over = local.day == 1 or (local.day == 2 and local.time() < self.ends)
        return self.peak if begun or not_over else self.usual

    @cache  # noqa: B019 - there are two calendars
    def changes(self, years: range) -> list[tuple[datetime, Capacity]]:
        """Every moment at which AWS sets limits, and which, sorted: the 1st repeats what the month before began."""
        found = []
        for year in years:
            for month in range(1, 13):
                last = date(year, month, calendar.monthrange(year, month)[1])
                found.append((self.at(date(year, month, 1), self.starts).astimezone(UTC), self.peak))
                found.append((self.at(date(year, month, 2), self.ends).astimezone(UTC), self.usual))
                found.append((self.at(last - timedelta(days=3), self.starts).astimezone(UTC), self.peak))
        return sorted(found)


SEOUL = Calendar(zone=ZoneInfo("Asia/Seoul"), starts=time(0), ends=time(0), usual=Capacity(2, 6), peak=Capacity(4, 12))
#: By the runs of `autoscaling.tftest.hcl`.
CALENDARS = {
    "schedule": SEOUL,
    "schedule_of_another_place": Calendar(
        zone=ZoneInfo("America/New_York"),
        starts=time(18, 5),
        ends=time(8, 30),
        usual=Capacity(2, 6),
        peak=Capacity(3, 6),
    ),
}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The plan of each run of the module's tests, by its name."""
    return plans_of_tests(tmp_path_factory.mktemp("terraform"), "modules/autoscaling")


def actions(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The scheduled actions as AWS will be given them."""
    return [
        item["change"]["after"]
        for item in plan["resource_changes"]
        if item["type"] == "aws_appautoscaling_scheduled_action"
    ]


def limits(action: dict[str, Any]) -> Capacity:
    given = action["scalable_target_action"][0]
    return Capacity(int(given["min_capacity"]), int(given["max_capacity"]))


def changes(plan: dict[str, Any], years: range) -> Iterator[tuple[datetime, Capacity]]:
    """Every moment of these years at which one of the plan's actions fires, and the limits that it sets."""
    for action in actions(plan):
        for moment in firings(action["schedule"], action["timezone"], years):
            yield moment, limits(action)


@cache
def firings(schedule: str, timezone: str, years: range) -> list[datetime]:
    zone, cron = ZoneInfo(timezone), parse(schedule)
    found = []
    moment = cron.after(datetime(years[0], 1, 1, tzinfo=zone) - MINUTE, zone)
    while moment and moment.astimezone(zone).year in years:
        found.append(moment)
        moment = cron.after(moment, zone)
    return found


def is_right(plan: dict[str, Any], expected: Calendar) -> bool:
    """The check: the plan's actions fire when the calendar says, set what it says, and at no other time."""
    return sorted(changes(plan, EVERY_CHANGE)) == expected.changes(EVERY_CHANGE)


@pytest.mark.parametrize("run", CALENDARS)
def test_every_change_of_every_year_is_the_calendars(plans: dict[str, dict[str, Any]], run: str) -> None:
    assert is_right(plans[run], CALENDARS[run])


@pytest.mark.parametrize("run", CALENDARS)
def test_every_day_has_the_calendars_limits(plans: dict[str, dict[str, Any]], run: str) -> None:
    expected = CALENDARS[run]
    target = ServiceScaling(plans[run]["output_changes"]["scalable_target"]["after"])
    day = date(EVERY_DAY[0], 1, 1)
    while day.year in EVERY_DAY:
        times = {time(0), time(12), time(23, 59), expected.starts, expected.ends}
        moments = [expected.at(day, clock) for clock in times]
        # A minute before a change, as an instant: it may be the day before.
        moments += [
            (expected.at(day, clock).astimezone(UTC) - MINUTE).astimezone(expected.zone)
            for clock in (expected.starts, expected.ends)
        ]
        for moment in moments:
            assert capacity_at(target, moment) == expected.holds(moment), moment
        day += timedelta(days=1)


def test_the_output_says_what_aws_is_given(plans: dict[str, dict[str, Any]]) -> None:
    for run, expected in CALENDARS.items():
        target = plans[run]["output_changes"]["scalable_target"]["after"]
        given = sorted((action["name"], action["schedule"], limits(action)) for action in actions(plans[run]))
        read = [
            (item["name"], item["schedule"], Capacity(item["min_capacity"], item["max_capacity"]))
            for item in target["scheduled_actions"]
        ]
        assert sorted(read) == given
        assert {action["timezone"] for action in actions(plans[run])} == {target["timezone"]} == {str(expected.zone)}
    assert actions(plans["defaults"]) == []


def test_the_next_change_is_the_calendars(plans: dict[str, dict[str, Any]]) -> None:
    target = ServiceScaling(plans["schedule"]["output_changes"]["scalable_target"]["after"])
    for year, day in ((2027, 25), (2028, 26), (2100, None)):
        following = next_change(target, SEOUL.at(date(year, 2, 10), time(0)))
        assert following
        assert following.capacity == SEOUL.peak
        assert (following.at.month, following.at.day) == ((2, day) if day else (3, 1))


def test_the_syntax_is_what_aws_documents(plans: dict[str, dict[str, Any]]) -> None:
    for action in actions(plans["schedule"]):
        assert re.fullmatch(r"cron\(\d+ \d+ \d+ (\*|[\d,]+) \? (\*|[\d,]+)\)", action["schedule"])
        assert len(action["schedule"]) <= 1600


def mutants(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The plan with one number one step off, one at a time; and with another time zone, or without one action."""
    for number, item in enumerate(plan["resource_changes"]):
        if item["type"] != "aws_appautoscaling_scheduled_action":
            continue

        def changed(number: int = number, **values: Any) -> dict[str, Any]:
            resources = list(plan["resource_changes"])
            resources[number] = deepcopy(resources[number])
            resources[number]["change"]["after"] |= values
            return {"resource_changes": resources}

        action = item["change"]["after"]
        name = str(action["name"])
        for schedule in mutated_schedules(action["schedule"]):
            yield f"{name}: {schedule}", changed(schedule=schedule)
        least, most = limits(action)
        for wrong in ((least - 1, most), (least + 1, most), (least, most - 1), (least, most + 1)):
            yield (
                f"{name}: {wrong}",
                changed(scalable_target_action=[{"min_capacity": wrong[0], "max_capacity": wrong[1]}]),
            )
        for zone in ("UTC", "Asia/Shanghai"):  # an hour from Seoul
            yield f"{name}: {zone}", changed(timezone=zone)
        yield (
            f"{name}: missing",
            changed()
            | {"resource_changes": plan["resource_changes"][:number] + plan["resource_changes"][number + 1 :]},
        )


def mutated_schedules(schedule: str) -> Iterator[str]:
    fields = schedule.removeprefix("cron(").removesuffix(")").split()
    ranges = [*list(RANGES.values())[:4], (0, -1), RANGES["year"]]
    for place, (low, high) in enumerate(ranges):
        items = fields[place].split(",")
        for index, item in enumerate(items):
            if item == "*":  # one of all is missing: the first or the last
                first, last = (EVERY_CHANGE[0], EVERY_CHANGE[-1]) if place == 5 else (low, high)
                wrong = [f"{first + 1}-{last}", f"{first}-{last - 1}"]
            elif item.isdigit():
                wrong = [str(value) for value in (int(item) - 1, int(item) + 1) if low <= value <= high]
            else:
                continue
            for value in wrong:
                others = [*items[:index], value, *items[index + 1 :]]
                yield f"cron({' '.join([*fields[:place], ','.join(others), *fields[place + 1 :]])})"


def test_one_step_off_makes_the_check_fail(plans: dict[str, dict[str, Any]]) -> None:
    tried = dict(mutants(plans["schedule"]))
    assert len(tried) > 200
    assert [name for name, plan in tried.items() if is_right(plan, SEOUL)] == []
    assert is_right(plans["schedule"], SEOUL)

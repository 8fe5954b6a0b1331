"""Evaluate cron expressions of Application Auto Scaling, as far as they list their times explicitly.

``cron(minutes hours day-of-month month day-of-week year)``, each field a number, a list of numbers, a range ``a-b`` or
``*``; the day of week is ``?``. Everything else that AWS accepts (names, ``/``, ``L``, ``W``, ``#``) is refused.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

#: The fields' ranges, in their order. The fifth, the day of week, has none here.
RANGES = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "year": (1970, 2199)}
_FORM = re.compile(r"cron\(([^()]*)\)")
_ITEM = re.compile(r"(\d+)(?:-(\d+))?")


class CronError(ValueError):
    """The expression is invalid, or uses something that is not supported here."""


@dataclass(frozen=True, kw_only=True)
class Cron:
    """A parsed expression: the numbers of each field, ascending."""

    minute: tuple[int, ...]
    hour: tuple[int, ...]
    day: tuple[int, ...]
    month: tuple[int, ...]
    year: tuple[int, ...]

    def last(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """Return the last time at which it fired, ``moment`` included, in UTC; None before the first."""
        year = moment.astimezone(zone).year
        return next((time for time in self._times(zone, year, back=True) if time <= moment), None)

    def after(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """Return the next time at which it fires, in UTC; None after the last."""
        year = moment.astimezone(zone).year
        return next((time for time in self._times(zone, year, back=False) if time > moment), None)

    def _times(self, zone: tzinfo, start: int, *, back: bool) -> Iterator[datetime]:
        """Yield every time from a year on, or backwards from its end. A local time that occurs twice counts once."""

        def ordered(numbers: Sequence[int]) -> Sequence[int]:
            return numbers[::-1] if back else numbers

        for year in ordered([year for year in self.year if (year <= start if back else year >= start)]):
            for month in ordered(self.month):
                for day in ordered(self.day):
                    try:
                        datetime(year, month, day, tzinfo=UTC)
                    except ValueError:
                        continue  # no such day in this month
                    for hour in ordered(self.hour):
                        for minute in ordered(self.minute):
                            yield datetime(year, month, day, hour, minute, tzinfo=zone).astimezone(UTC)


@lru_cache(maxsize=1024)
def parse(expression: str) -> Cron:
    """Parse an expression.

    Raises:
        CronError: it is invalid, or uses something that is not supported here.
    """
    form = _FORM.fullmatch(expression)
    fields = form[1].split() if form else []
    if len(fields) != len(RANGES) + 1 or fields[4] != "?":
        raise CronError(f"{expression}: expected cron(minutes hours day-of-month month ? year)")
    del fields[4]
    numbers = (
        _numbers(expression, name, field, *bounds) for (name, bounds), field in zip(RANGES.items(), fields, strict=True)
    )
    return Cron(**dict(zip(RANGES, numbers, strict=True)))


def _numbers(expression: str, name: str, field: str, low: int, high: int) -> tuple[int, ...]:
    if field == "*":
        return tuple(range(low, high + 1))
    found: set[int] = set()
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        if not match:
            raise CronError(f"{expression}: the {name} {item!r} is neither a number nor a range")
        first, last = int(match[1]), int(match[2] or match[1])
        if not low <= first <= last <= high:
            raise CronError(f"{expression}: the {name} {item} is not within {low} to {high}")
        found.update(range(first, last + 1))
    return tuple(sorted(found))

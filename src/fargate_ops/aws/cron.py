"""When an expression of Application Auto Scaling fires: the part of AWS's cron that names its moments outright.

``cron(minutes hours day-of-month month day-of-week year)``, each field a number, a list of numbers, a range ``a-b`` or
``*``; the day of week is ``?``. What AWS has beyond that (names, ``/``, ``L``, ``W``, ``#``) is refused, not guessed.
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
    """The expression is not one of AWS, or uses what is not read here."""


@dataclass(frozen=True, kw_only=True)
class Cron:
    """The numbers of each field, ascending."""

    minute: tuple[int, ...]
    hour: tuple[int, ...]
    day: tuple[int, ...]
    month: tuple[int, ...]
    year: tuple[int, ...]

    def last(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """The newest time at which it fired, ``moment`` included; None before the first. In UTC, like `after`."""
        year = moment.astimezone(zone).year
        return next((time for time in self._times(zone, year, back=True) if time <= moment), None)

    def after(self, moment: datetime, zone: tzinfo) -> datetime | None:
        """The next time at which it will fire; None after the last."""
        year = moment.astimezone(zone).year
        return next((time for time in self._times(zone, year, back=False) if time > moment), None)

    def _times(self, zone: tzinfo, start: int, *, back: bool) -> Iterator[datetime]:
        """Every time from a year on, or from its end back. A time that the zone has twice counts once, the first."""

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
    """Read an expression.

    Raises:
        CronError: it is not one of AWS, or uses what is not read here.
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
            raise CronError(f"{expression}: the {name} {item!r} is no number and no range of them")
        first, last = int(match[1]), int(match[2] or match[1])
        if not low <= first <= last <= high:
            raise CronError(f"{expression}: the {name} {item} is not within {low} to {high}")
        found.update(range(first, last + 1))
    return tuple(sorted(found))

"""Costs and the budget of one account, from Cost Explorer and Budgets.

https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_Operations_AWS_Cost_Explorer_Service.html
Days are in UTC. Today is incomplete and counts in the forecast only. The end of a period is exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from fargate_ops.cost.api import Scope, everything, pages, total
from fargate_ops.cost.money import ZERO, cents, exact, percent

#: Not costs of the day that they are booked on; a credit would hide an increase.
_NOT_USAGE = ["Credit", "Refund"]
_RESERVED = ("Amazon Elastic Compute Cloud - Compute", "Amazon Relational Database Service")
_DAYS_SHOWN = 3


@dataclass(frozen=True)
class Month:
    """The month of `today` and the previous one."""

    today: date

    @property
    def start(self) -> date:
        return self.today.replace(day=1)

    @property
    def end(self) -> date:
        return (self.start + timedelta(days=32)).replace(day=1)

    @property
    def before(self) -> date:
        return (self.start - timedelta(days=1)).replace(day=1)

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def days_before(self) -> int:
        return (self.start - self.before).days

    @property
    def elapsed(self) -> int:
        """Complete days of this month."""
        return (self.today - self.start).days

    @property
    def same_days_end(self) -> date:
        """The end of as many days of the previous month, or of all its days if it was shorter."""
        return self.before + timedelta(days=min(self.elapsed, self.days_before))


@dataclass(frozen=True, kw_only=True)
class Rise:
    """A cost ``now``, in this month, and ``before``, in the same days of the previous month."""

    name: str
    now: Decimal
    before: Decimal
    parts: tuple[Rise, ...] = ()

    @property
    def rise(self) -> Decimal:
        return self.now - self.before


@dataclass(frozen=True, kw_only=True)
class Day:
    """One day of this month. ``rise``: above last month's average day; ``parts``: the services that contribute."""

    day: date
    amount: Decimal
    rise: Decimal
    parts: tuple[Rise, ...]


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The percentage of usage covered by a reservation or savings plan, last month and this month so far.

    ``uncovered``: this month's on-demand cost. ``lost``: the part that last month's percentage would have covered.
    """

    kind: str
    service: str
    before: Decimal | None
    now: Decimal | None
    uncovered: Decimal
    lost: Decimal

    @property
    def fell(self) -> bool:
        return self.before is not None and self.now is not None and self.now < self.before


@dataclass(frozen=True, kw_only=True)
class Budget:
    name: str
    limit: Decimal


@dataclass(frozen=True, kw_only=True)
class Spending:
    """One account's month. ``forecast``: the whole month, as spent so far plus Cost Explorer's forecast of the rest."""

    account: str
    month_to_date: Decimal
    same_days_before: Decimal
    last_month: Decimal
    forecast: Decimal | None
    budget: Budget | None
    daily: Mapping[date, Decimal]
    days: tuple[Day, ...]
    services: tuple[Rise, ...]
    coverage: tuple[Coverage, ...]
    complete: bool

    @property
    def over_last_month(self) -> Decimal | None:
        """The percentage by which the forecast exceeds last month."""
        return None if self.forecast is None else percent(self.forecast, self.last_month)

    @property
    def over_budget(self) -> Decimal | None:
        if self.forecast is None or self.budget is None:
            return None
        return percent(self.forecast, self.budget.limit)


@dataclass(frozen=True)
class _Cost:
    day: date
    keys: tuple[str, ...]
    amount: Decimal


def read_spending(scope: Scope, month: Month, *, metric: str, services_shown: int, budget_name: str) -> Spending:
    """Query in order of importance, so that the limit on paid pages cuts the least important part."""
    costs = scope.all_of("costs by day and service", _costs(scope, month, metric, ["SERVICE"]))
    complete = not scope.misses("costs by day and service")
    to_date = total(cost.amount for cost in costs if cost.day >= month.start)
    forecast = scope.one("forecast", lambda: to_date + _forecast(scope, month, metric)) if complete else None
    services = rises(costs, month, lambda cost: cost.keys[0])[:services_shown]
    details = scope.all_of(
        "usage types of the services that rose",
        _costs(scope, month, metric, ["SERVICE", "USAGE_TYPE"], [service.name for service in services]),
    )
    return Spending(
        account=scope.account,
        month_to_date=cents(to_date),
        same_days_before=cents(total(cost.amount for cost in costs if cost.day < month.same_days_end)),
        last_month=cents(total(cost.amount for cost in costs if cost.day < month.start)),
        forecast=None if forecast is None else cents(forecast),
        budget=_budget(scope, budget_name),
        daily=_daily(costs),
        days=tuple(_days_that_rose(costs, month)),
        services=tuple(_with_usage_types(service, details, month) for service in services),
        coverage=tuple(_coverage(scope, month)),
        complete=complete,
    )


def _costs(
    scope: Scope, month: Month, metric: str, dimensions: Sequence[str], services: Sequence[str] | None = None
) -> Iterator[_Cost]:
    """Yield the costs of each day of both months by `dimensions`, for `services` only if given."""
    if services is not None and not services:
        return
    usage: dict[str, Any] = {"Not": {"Dimensions": {"Key": "RECORD_TYPE", "Values": _NOT_USAGE}}}
    named = {"Dimensions": {"Key": "SERVICE", "Values": list(services or [])}}
    for page in pages(
        scope.client("ce").get_cost_and_usage,
        "NextPageToken",
        meter=scope.meter,
        TimePeriod={"Start": month.before.isoformat(), "End": month.today.isoformat()},
        Granularity="DAILY",
        Metrics=[metric],
        GroupBy=[{"Type": "DIMENSION", "Key": key} for key in dimensions],
        Filter={"And": [usage, named]} if services else usage,
    ):
        for result in page["ResultsByTime"]:
            day = date.fromisoformat(result["TimePeriod"]["Start"])
            for group in result["Groups"]:
                yield _Cost(day, tuple(group["Keys"]), exact(group["Metrics"][metric]["Amount"]))


def _forecast(scope: Scope, month: Month, metric: str) -> Decimal:
    """Return Cost Explorer's forecast from today to the end of the month."""
    scope.meter.page()
    # This operation spells the metric UNBLENDED_COST instead of UnblendedCost.
    name = "".join(f"_{letter}" if letter.isupper() else letter for letter in metric).strip("_").upper()
    answer = scope.client("ce").get_cost_forecast(
        TimePeriod={"Start": month.today.isoformat(), "End": month.end.isoformat()},
        Metric=name,
        Granularity="MONTHLY",
        Filter={"Not": {"Dimensions": {"Key": "RECORD_TYPE", "Values": _NOT_USAGE}}},
    )
    return exact(answer["Total"]["Amount"])


def rises(costs: Iterable[_Cost], month: Month, name: Any) -> list[Rise]:
    """Return the increases over the same days of last month, largest first."""
    now: dict[str, Decimal] = {}
    before: dict[str, Decimal] = {}
    for cost in costs:
        if cost.day >= month.start:
            now[name(cost)] = now.get(name(cost), ZERO) + cost.amount
        elif cost.day < month.same_days_end:
            before[name(cost)] = before.get(name(cost), ZERO) + cost.amount
    found = [
        Rise(name=key, now=cents(now.get(key, ZERO)), before=cents(before.get(key, ZERO))) for key in {*now, *before}
    ]
    return sorted((item for item in found if item.rise > 0), key=lambda item: (-item.rise, item.name))


def _with_usage_types(service: Rise, details: Sequence[_Cost], month: Month) -> Rise:
    mine = [cost for cost in details if cost.keys[0] == service.name]
    return Rise(
        name=service.name,
        now=service.now,
        before=service.before,
        parts=tuple(rises(mine, month, lambda cost: cost.keys[1])),
    )


def _daily(costs: Iterable[_Cost]) -> dict[date, Decimal]:
    days: dict[date, Decimal] = {}
    for cost in costs:
        days[cost.day] = days.get(cost.day, ZERO) + cost.amount
    return {day: cents(days[day]) for day in sorted(days)}


def _days_that_rose(costs: Sequence[_Cost], month: Month) -> list[Day]:
    """Return the days furthest above last month's average day, with the services that contribute."""
    by_day: dict[date, dict[str, Decimal]] = {}
    averages: dict[str, Decimal] = {}
    for cost in costs:
        service = cost.keys[0]
        if cost.day >= month.start:
            of_day = by_day.setdefault(cost.day, {})
            of_day[service] = of_day.get(service, ZERO) + cost.amount
        else:
            averages[service] = averages.get(service, ZERO) + cost.amount / month.days_before
    average = total(averages.values())
    found = []
    for day, services in by_day.items():
        amount = total(services.values())
        parts = [
            Rise(name=name, now=cents(cost), before=cents(averages.get(name, ZERO))) for name, cost in services.items()
        ]
        risen = sorted((part for part in parts if part.rise > 0), key=lambda part: (-part.rise, part.name))
        found.append(Day(day=day, amount=cents(amount), rise=cents(amount - average), parts=tuple(risen[:_DAYS_SHOWN])))
    return sorted((day for day in found if day.rise > 0), key=lambda day: (-day.rise, day.day))[:_DAYS_SHOWN]


def _coverage(scope: Scope, month: Month) -> list[Coverage]:
    found = scope.all_of("savings-plan coverage", _savings_plans(scope, month))
    for service in _RESERVED:
        found += scope.all_of(f"reservation coverage of {service}", _reservations(scope, month, service))
    return found


def _savings_plans(scope: Scope, month: Month) -> Iterator[Coverage]:
    """Yield the coverage of each service, in USD: covered / (covered + on demand)."""
    spent: dict[str, dict[bool, tuple[Decimal, Decimal]]] = {}
    for page in pages(
        scope.client("ce").get_savings_plans_coverage,
        "NextToken",
        meter=scope.meter,
        TimePeriod={"Start": month.before.isoformat(), "End": month.today.isoformat()},
        Granularity="MONTHLY",
        GroupBy=[{"Type": "DIMENSION", "Key": "SERVICE"}],
    ):
        for item in page["SavingsPlansCoverages"]:
            # Older responses have a lower-case key.
            attributes = {key.upper(): value for key, value in item["Attributes"].items()}
            months = spent.setdefault(attributes["SERVICE"], {})
            is_now = item["TimePeriod"]["Start"] >= month.start.isoformat()
            covered, on_demand = months.get(is_now, (ZERO, ZERO))
            months[is_now] = (
                covered + exact(item["Coverage"]["SpendCoveredBySavingsPlans"]),
                on_demand + exact(item["Coverage"]["OnDemandCost"]),
            )
    for service, months in sorted(spent.items()):
        before, now = (months.get(is_now, (ZERO, ZERO)) for is_now in (False, True))
        yield _share("savings plan", service, before, now, on_demand_usd=now[1])


def _reservations(scope: Scope, month: Month, service: str) -> Iterator[Coverage]:
    """Yield the coverage in hours: reserved / running. Without a filter, Cost Explorer covers EC2 only."""
    hours: dict[bool, tuple[Decimal, Decimal]] = {}
    cost = ZERO
    for page in pages(
        scope.client("ce").get_reservation_coverage,
        "NextPageToken",
        meter=scope.meter,
        TimePeriod={"Start": month.before.isoformat(), "End": month.today.isoformat()},
        Granularity="MONTHLY",
        Filter={"Dimensions": {"Key": "SERVICE", "Values": [service]}},
    ):
        for item in page["CoveragesByTime"]:
            is_now = item["TimePeriod"]["Start"] >= month.start.isoformat()
            measured = item["Total"]["CoverageHours"]
            reserved, on_demand = hours.get(is_now, (ZERO, ZERO))
            hours[is_now] = (reserved + exact(measured["ReservedHours"]), on_demand + exact(measured["OnDemandHours"]))
            if is_now:
                cost += exact(item["Total"].get("CoverageCost", {}).get("OnDemandCost", "0"))
    if any(sum(pair) for pair in hours.values()):
        before, now = (hours.get(is_now, (ZERO, ZERO)) for is_now in (False, True))
        yield _share("reservation", service, before, now, on_demand_usd=cost)


def _share(
    kind: str, service: str, before: tuple[Decimal, Decimal], now: tuple[Decimal, Decimal], *, on_demand_usd: Decimal
) -> Coverage:
    """Return the coverage from (covered, on demand) of both months."""
    shares = [covered / (covered + rest) if covered + rest else None for covered, rest in (before, now)]
    lost = ZERO
    if shares[0] is not None and shares[1] is not None and shares[1] < shares[0]:
        # The on-demand cost is (1 - share) of the usage.
        lost = on_demand_usd * (shares[0] - shares[1]) / (1 - shares[1])
    rounded = [None if share is None else (share * 100).quantize(Decimal("0.1")) for share in shares]
    return Coverage(
        kind=kind,
        service=service,
        before=rounded[0],
        now=rounded[1],
        uncovered=cents(on_demand_usd),
        lost=cents(lost),
    )


def _budget(scope: Scope, name: str) -> Budget | None:
    """Return the budget of that name; without a name, the account's only monthly cost budget."""
    client = scope.client("budgets")
    found = [
        Budget(name=item["BudgetName"], limit=exact(item["BudgetLimit"]["Amount"]))
        for item in scope.all_of("budget", everything(client, "describe_budgets", "Budgets", AccountId=scope.account))
        if item["BudgetType"] == "COST" and item["TimeUnit"] == "MONTHLY" and "BudgetLimit" in item
        if not name or item["BudgetName"] == name
    ]
    if len(found) == 1:
        return found[0]
    if scope.misses("budget"):
        return None
    if found:
        names = ", ".join(sorted(item.name for item in found))
        scope.gap("budget", "missing", f"several monthly budgets: {names}", "-e cost_report_budget_name=<one of them>")
    else:
        scope.gap("budget", "missing", f"no monthly cost budget{f' named {name}' if name else ''}", "make infra")
    return None

"""The report: query every source concurrently, combine the results, and convert them to plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from fargate_ops.cost.accounts import Accounts, Target
from fargate_ops.cost.api import Gap, Gaps, Meter, Scope, total
from fargate_ops.cost.attribution import attribute, read_addresses, read_tags
from fargate_ops.cost.extended_support import read_extended_support
from fargate_ops.cost.idle import read_idle, read_unattached
from fargate_ops.cost.money import ZERO, cents, percent, usd
from fargate_ops.cost.optimizer import read_optimizer
from fargate_ops.cost.prices import HOURS_A_MONTH, Prices
from fargate_ops.cost.recommendations import Recommendation, rank, total_saving
from fargate_ops.cost.spending import Month, Rise, Spending, read_spending
from fargate_ops.cost.storage import read_buckets, read_gp2

_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a report, as described in the role's defaults."""

    environment: str
    today: date
    metric: str = "UnblendedCost"
    services_shown: int = 5
    idle_days: int = 14
    support_days: int = 90
    budget_name: str = ""
    owner_tags: Sequence[str] = ("Owner", "Team", "Application")
    states: Sequence[Mapping[str, str]] = ()
    prices: Mapping[str, Mapping[str, str | float]] | None = None
    pages_max: int = 40
    metrics_max: int = 2000


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The cost of all accounts together, and whether the recommendations bring it under `limit`.

    ``limit``: the budget, or last month's cost where no budget is known. ``after``: the cost of a month like this one
    with every counted recommendation applied. ``still``: the saving still possible in the rest of this month.
    """

    month_to_date: Decimal
    last_month: Decimal
    forecast: Decimal | None
    limit: Decimal
    limit_is_budget: bool
    saving: Decimal
    after: Decimal | None
    still: Decimal
    days_left: int

    @property
    def is_under(self) -> bool | None:
        """Return whether ``after`` is within the limit; None if the forecast is unknown."""
        return None if self.after is None else self.after <= self.limit

    @property
    def was_under(self) -> bool | None:
        return None if self.forecast is None else self.forecast <= self.limit

    @property
    def limit_name(self) -> str:
        return "the budget" if self.limit_is_budget else "last month"

    @property
    def sentence(self) -> str:
        """``The forecast of 1,742.10 USD is 34.0 % over the budget …; the recommendations …``"""
        limit = f"{self.limit_name} of {usd(self.limit)} USD"
        saved = f"The recommendations save {usd(self.saving)} USD a month"
        if self.forecast is None or self.after is None:
            return f"This month's forecast is not known. {saved}."
        over = percent(self.forecast, self.limit)
        how = f"{abs(over)} % {'over' if over > 0 else 'under'}" if over is not None else "against"
        begin = f"The forecast of {usd(self.forecast)} USD is {how} {limit}."
        where = "under" if self.is_under else "still over"
        return f"{begin} {saved}: a month like this would cost {usd(self.after)} USD, {where} {self.limit_name}."


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The four keys of software delivery: values and meanings by name, JSON values, a link to the definitions."""

    keys: Mapping[str, str]
    meanings: Mapping[str, str]
    row: Mapping[str, Any]
    definitions: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """The report's content. ``paid`` is the meter's row. ``delivery`` is None if it is not known."""

    environment: str
    month: Month
    accounts: tuple[Spending, ...]
    recommendations: tuple[Recommendation, ...]
    gaps: tuple[Gap, ...]
    verdict: Verdict
    paid: Mapping[str, Any]
    idle_days: int
    delivery: Delivery | None = None

    def as_row(self) -> dict[str, Any]:
        """Return plain JSON values. Money is text with two decimals, so that no reader rounds it."""
        row = {
            "environment": self.environment,
            "as_of": self.month.today,
            "month": f"{self.month.start:%Y-%m}",
            "hours_a_month": HOURS_A_MONTH,
            "verdict": {
                **asdict(self.verdict),
                "is_under": self.verdict.is_under,
                "was_under": self.verdict.was_under,
                "sentence": self.verdict.sentence,
            },
            "accounts": [_spending_row(account) for account in self.accounts],
            "findings": [asdict(item) for item in self.recommendations],
            "gaps": [gap.as_row() for gap in self.gaps],
            "paid": self.paid,
            "four_keys": self.delivery and self.delivery.row,
        }
        plain = _plain(row)
        assert isinstance(plain, dict)  # noqa: S101 - for the type checker
        return plain


def _spending_row(account: Spending) -> dict[str, Any]:
    return {
        **asdict(account),
        "days": [{**asdict(day), "parts": [_rise_row(part) for part in day.parts]} for day in account.days],
        "services": [_rise_row(service) for service in account.services],
        "coverage": [{**asdict(item), "fell": item.fell} for item in account.coverage],
        "over_last_month_percent": account.over_last_month,
        "over_budget_percent": account.over_budget,
    }


def _rise_row(item: Rise) -> dict[str, Any]:
    return {**asdict(item), "rise": item.rise, "parts": [_rise_row(part) for part in item.parts]}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal | date):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def gather(accounts: Accounts, targets: Sequence[Target], settings: Settings) -> Report:
    """Query all accounts and regions concurrently. An AWS error becomes a gap and raises nothing."""
    gaps, meter = Gaps(), Meter(pages=settings.pages_max, metrics=settings.metrics_max)
    month = Month(settings.today)

    def scope(target: Target, region: str) -> Scope:
        prices = Prices.of(region, settings.prices or {})
        return Scope(target.account_id, region, accounts.of(target), gaps, meter, prices)

    spending: list[Future[Spending]] = []
    recommendations: list[Future[list[Recommendation]]] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        addresses = pool.submit(_addresses, scope, targets, settings)
        tags: list[Future[dict[str, dict[str, str]]]] = []
        for target in targets:
            spending.append(
                pool.submit(
                    read_spending,
                    scope(target, "global"),
                    month,
                    metric=settings.metric,
                    services_shown=settings.services_shown,
                    budget_name=settings.budget_name,
                )
            )
            for region in target.regions:
                here = scope(target, region)
                tags.append(pool.submit(read_tags, here))
                recommendations += [pool.submit(collect, here) for collect in _collectors(settings)]
        known_tags = {arn: pairs for future in tags for arn, pairs in future.result().items()}
        found = [item for future in recommendations for item in future.result()]
        known_addresses = addresses.result()
        costs = tuple(future.result() for future in spending)
    ranked = rank(
        attribute(
            found,
            tags=known_tags,
            addresses=known_addresses,
            owner_tags=settings.owner_tags,
            environment=settings.environment,
        )
    )
    return Report(
        environment=settings.environment,
        month=month,
        accounts=costs,
        recommendations=tuple(ranked),
        gaps=tuple(sorted(set(gaps.found))),
        verdict=judge(costs, total_saving(ranked), month),
        paid=meter.as_row(),
        idle_days=settings.idle_days,
    )


def _collectors(settings: Settings) -> list[Callable[[Scope], list[Recommendation]]]:
    return [
        read_optimizer,
        lambda scope: read_idle(scope, settings.today, settings.idle_days),
        read_unattached,
        read_gp2,
        lambda scope: read_extended_support(scope, settings.today, settings.support_days),
        lambda scope: read_buckets(scope, settings.today),
    ]


def _addresses(scope: Callable[[Target, str], Scope], targets: Sequence[Target], settings: Settings) -> dict[str, str]:
    """Read the states, which are in the environment's own account, the first target."""
    return read_addresses(scope(targets[0], targets[0].regions[0]), settings.states)


def judge(accounts: Sequence[Spending], saving: Decimal, month: Month) -> Verdict:
    """Judge all accounts together. The budgets are the limit if every account has one."""
    forecasts = [account.forecast for account in accounts if account.forecast is not None]
    forecast = total(forecasts) if len(forecasts) == len(accounts) else None
    budgets = [account.budget.limit for account in accounts if account.budget is not None]
    has_budget = len(budgets) == len(accounts) > 0
    last_month = total(account.last_month for account in accounts)
    days_left = (month.end - month.today).days
    return Verdict(
        month_to_date=total(account.month_to_date for account in accounts),
        last_month=last_month,
        forecast=forecast,
        limit=cents(total(budgets)) if has_budget else last_month,
        limit_is_budget=has_budget,
        saving=saving,
        after=None if forecast is None else max(forecast - saving, ZERO),
        still=cents(saving * days_left / 30),
        days_left=days_left,
    )

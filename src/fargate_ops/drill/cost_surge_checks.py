"""Checks of the cost report on the seeded billing data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from fargate_ops.drill.cost_surge import DATABASE, EXPECTED, FARGATE, SAVINGS

Row = Mapping[str, Any]
#: Whether the check passed, and what was seen.
Result = tuple[bool, str]

DOES = "seed billing data with a known report, an unused volume and an unused address, and run the cost report"


def _same(seen: Mapping[str, str], *names: str) -> Result:
    wrong = [f"{name} is {seen[name]}, not {EXPECTED[name]}" for name in names if seen[name] != EXPECTED[name]]
    return not wrong, "; ".join(wrong) or ", ".join(f"{name.replace('_', ' ')} {seen[name]}" for name in names)


def _month(report: Row, seeded: Row) -> Result:
    account = report["accounts"][0]
    seen = {
        **{name: account[name] for name in ("month_to_date", "same_days_before", "last_month", "forecast")},
        "over_last_month": account["over_last_month_percent"],
        "over_budget": account["over_budget_percent"],
    }
    return _same(seen, *seen)


def _top_day(report: Row, seeded: Row) -> Result:
    day = (report["accounts"][0]["days"] or [{"day": "", "amount": "", "rise": "", "parts": []}])[0]
    passed, text = _same(
        {"top_day": day["day"], "top_day_usd": day["amount"], "top_day_rise": day["rise"]},
        "top_day",
        "top_day_usd",
        "top_day_rise",
    )
    first = day["parts"][0]["name"] if day["parts"] else "nothing"
    return passed and first == DATABASE, f"{text}, most of it {first}"


def _top_service(report: Row, seeded: Row) -> Result:
    services = report["accounts"][0]["services"]
    if not services or services[0]["name"] != FARGATE or not services[0]["parts"]:
        return False, f"{services[0]['name'] if services else 'no service'} is first"
    service, part = services[0], services[0]["parts"][0]
    return _same(
        {
            "top_service_rise": service["rise"],
            "top_usage_type": part["name"],
            "top_usage_type_rise": part["rise"],
        },
        "top_service_rise",
        "top_usage_type",
        "top_usage_type_rise",
    )


def _coverage(report: Row, seeded: Row) -> Result:
    fell = [item for item in report["accounts"][0]["coverage"] if item["fell"]]
    if len(fell) != 1:
        return False, f"{len(fell)} shares fell"
    seen = {f"coverage_{name}": fell[0][name] for name in ("before", "now", "lost")}
    return _same(seen, *seen)


def _recommendations(report: Row, seeded: Row) -> Result:
    seen = {item["kind"]: item["saving"] for item in report["findings"] if item["kind"] in SAVINGS}
    wrong = [f"{kind}: {seen.get(kind)}, not {usd}" for kind, usd in SAVINGS.items() if seen.get(kind) != usd]
    return not wrong, "; ".join(wrong) or ", ".join(f"{kind} {usd}" for kind, usd in SAVINGS.items())


def _real_resources(report: Row, seeded: Row) -> Result:
    seen = {
        (item["kind"], item["saving"], item["counted"])
        for item in report["findings"]
        if item["arn"].endswith((f"/{seeded['volume']}", f"/{seeded['address']}"))
    }
    wanted = {
        ("unattached-volume", "11.40", True),
        ("gp2-volume", "2.28", False),
        ("unattached-address", "3.60", True),
    }
    return seen == wanted, ", ".join(f"{kind} {usd}" for kind, usd, _ in sorted(seen)) or "nothing"


def _total(report: Row, seeded: Row) -> Result:
    counted = [item for item in report["findings"] if item["counted"]]
    total = sum((Decimal(item["saving"]) for item in counted), Decimal(0))
    savings = [Decimal(item["saving"]) for item in report["findings"] if item["saving"] is not None]
    verdict = report["verdict"]
    under = Decimal(verdict["forecast"] or 0) - total <= Decimal("1000.00")
    passed = (
        str(total) == verdict["saving"] and savings == sorted(savings, reverse=True) and verdict["is_under"] is under
    )
    return passed, verdict["sentence"]


def _pages(report: Row, seeded: Row) -> Result:
    paid = report["paid"]
    text = f"{paid['pages']} pages of Cost Explorer, {paid['usd']} USD in all"
    return 5 < paid["pages"] <= paid["pages_max"], text


CHECKS: Sequence[tuple[str, Callable[[Row, Row], Result]]] = (
    ("the month's totals, to the cent", _month),
    ("the day with the largest increase, and its service", _top_day),
    ("the service with the largest increase, and its usage type", _top_service),
    ("the coverage that fell, and its cost", _coverage),
    ("each recommendation, and the surcharge of EKS", _recommendations),
    ("the unused resources in this environment", _real_resources),
    ("the order, the total, and whether it is under the budget", _total),
    ("every page was read and counted", _pages),
)


def scene() -> list[str]:
    """Return the announcement of the drill."""
    return [
        "DRILL cost_surge",
        f"  action  {DOES}",
        *(f"  {'expect' if number == 0 else '      '}  {text}" for number, (text, _) in enumerate(CHECKS)),
    ]


def verdict(report: Row, seeded: Row) -> tuple[bool, list[str]]:
    """Return whether every check passed, and a line for each; the last line is the verdict."""
    lines, failed = [], []
    for text, evaluate in CHECKS:
        passed, seen = evaluate(report, seeded)
        lines.append(f"  {'passed' if passed else 'failed'}  {text}: {seen}")
        if not passed:
            failed.append(text)
    outcome = "every check passed" if not failed else f"FAILED: {'; '.join(failed)}"
    return not failed, [*lines, f"VERDICT cost_surge: {outcome}"]

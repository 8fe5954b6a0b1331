"""The verdict on a cost report: the expected report passes, and each deviation fails its check."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from fargate_ops.drill.cost_surge import DATABASE, EXPECTED, FARGATE, SAVINGS
from fargate_ops.drill.cost_surge_checks import CHECKS, scene, verdict

SEEDED = {"volume": "vol-1", "address": "eipalloc-1"}


def right() -> dict[str, Any]:
    recommendations = [
        {"kind": kind, "saving": usd, "counted": True, "arn": f"arn:{kind}"}
        for kind, usd in [*SAVINGS.items(), ("unattached-volume", "11.40"), ("unattached-address", "3.60")]
    ]
    for item in recommendations[-2:]:
        item["arn"] = f"arn/{SEEDED['volume' if 'volume' in str(item['kind']) else 'address']}"
    recommendations.append({"kind": "gp2-volume", "saving": "2.28", "counted": False, "arn": "arn/vol-1"})
    recommendations.sort(key=lambda item: -float(str(item["saving"])))
    account = {name: EXPECTED[name] for name in ("month_to_date", "same_days_before", "last_month", "forecast")} | {
        "over_last_month_percent": EXPECTED["over_last_month"],
        "over_budget_percent": EXPECTED["over_budget"],
        "days": [
            {
                "day": EXPECTED["top_day"],
                "amount": EXPECTED["top_day_usd"],
                "rise": EXPECTED["top_day_rise"],
                "parts": [{"name": DATABASE}],
            }
        ],
        "services": [
            {
                "name": FARGATE,
                "rise": EXPECTED["top_service_rise"],
                "parts": [{"name": EXPECTED["top_usage_type"], "rise": EXPECTED["top_usage_type_rise"]}],
            }
        ],
        "coverage": [
            {"fell": True, **{name: EXPECTED[f"coverage_{name}"] for name in ("before", "now", "lost")}},
            {"fell": False, "before": "1.0", "now": "2.0", "lost": "0.00"},
        ],
    }
    return {
        "accounts": [account],
        "findings": recommendations,
        "paid": {"pages": 16, "pages_max": 40, "usd": "0.16"},
        "verdict": {"saving": "570.49", "forecast": "1377.51", "is_under": True, "sentence": "under"},
    }


def test_the_right_answer_keeps_every_promise() -> None:
    passed, lines = verdict(right(), SEEDED)
    assert passed, lines
    assert lines[-1] == "VERDICT cost_surge: every check passed"
    assert len(scene()) == 2 + len(CHECKS)


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (lambda row: row["accounts"][0].update(forecast="1377.50"), "the month's totals, to the cent"),
        (lambda row: row["accounts"][0].update(days=[]), "the day with the largest increase, and its service"),
        (
            lambda row: row["accounts"][0].update(services=[]),
            "the service with the largest increase, and its usage type",
        ),
        (lambda row: row["accounts"][0].update(coverage=[]), "the coverage that fell, and its cost"),
        (lambda row: row["findings"][0].update(kind="x"), "each recommendation, and the surcharge of EKS"),
        (lambda row: row["findings"][-1].update(kind="x"), "each recommendation, and the surcharge of EKS"),
        (lambda row: row["findings"].reverse(), "the order, the total, and whether it is under the budget"),
        (lambda row: row["verdict"].update(is_under=False), "the order, the total, and whether it is under the budget"),
        (lambda row: row["paid"].update(pages=5), "every page was read and counted"),
    ],
)
def test_each_wrong_answer_breaks_its_promise(change: Any, failed: str) -> None:
    row = deepcopy(right())
    change(row)
    passed, lines = verdict(row, SEEDED)
    assert not passed
    assert failed in lines[-1]


def test_what_was_not_found_in_the_environment_is_said() -> None:
    passed, lines = verdict(right(), {"volume": "vol-2", "address": "eipalloc-2"})
    assert not passed
    assert "failed  the unused resources in this environment: nothing" in "\n".join(lines)

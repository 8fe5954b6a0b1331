"""The reference application and the inventory of this repository: an adoption replaces exactly these values."""

from __future__ import annotations

from pathlib import Path

from fargate_ops.adopt.adoption import Repository, Request, adopt
from fargate_ops.adopt.points import Verdict

PROJECT = Path(__file__).parents[3]


def test_the_inventory_has_the_values_of_the_reference_application() -> None:
    reference = PROJECT / "app/api"
    adoption = adopt(Request(str(reference)), Repository(PROJECT, PROJECT / "inventory", reference, "3.13"))
    assert adoption.files == {}
    assert adoption.kept == {}
    assert [point for point in adoption.inspection.points if point.verdict is not Verdict.OK] == []

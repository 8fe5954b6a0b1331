"""src/local_cloud/rds/rds_engine_versions.py: which changes of an instance's version RDS refuses."""

from __future__ import annotations

import pytest

from local_cloud.rds.rds_engine_versions import refusal


@pytest.mark.parametrize(
    ("current", "wanted", "family", "allowed", "word"),
    [
        ("17.6", "18", "postgres18", True, ""),
        ("17.6", "17", "postgres17", False, ""),
        ("17.6", "18", "postgres18", False, "AllowMajorVersionUpgrade"),
        ("17.6", "18", "postgres17", True, "Please use a Parameter Group with DBParameterGroupFamily postgres18"),
        ("17.6", "17.6", "postgres16", False, "DBParameterGroupFamily postgres17"),
        ("17.6", "16", "postgres16", True, "Cannot upgrade postgres from 17.6 to 16"),
        ("17.6", "18", "", True, ""),  # RDS's own default group follows by itself
    ],
)
def test_what_rds_refuses(current: str, wanted: str, family: str, allowed: bool, word: str) -> None:
    told = refusal(current, wanted, family, allowed=allowed)
    assert word in told
    assert bool(told) == bool(word)

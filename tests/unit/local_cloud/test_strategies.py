"""The steps of a deployment that shifts traffic, and the limits of its configuration."""

from __future__ import annotations

from typing import Any

import pytest

from local_cloud.ecs.strategies import Step, refusal, steps, weights, without_others

CANARY = {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 3}}
LINEAR = {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 30.0, "stepBakeTimeInMinutes": 2}}


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({}, [(100, 0)]),
        ({"strategy": "BLUE_GREEN"}, [(100, 0)]),
        (CANARY, [(10, 3), (100, 0)]),
        ({"strategy": "CANARY"}, [(5, 10), (100, 0)]),
        ({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 100.0}}, [(100, 0)]),
        (LINEAR, [(30, 2), (60, 2), (90, 2), (100, 0)]),
        ({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 50.0}}, [(50, 6), (100, 0)]),
    ],
)
def test_the_steps_lead_to_all_of_the_traffic(configuration: dict[str, Any], expected: list[tuple[float, int]]) -> None:
    assert steps(configuration) == tuple(Step(*step) for step in expected)


@pytest.mark.parametrize(
    ("percent", "expected"), [(10, (10, 90)), (100, (100, 0)), (0.1, (1, 899)), (33.3, (300, 600))]
)
def test_weights_are_whole_numbers_that_elb_takes(percent: float, expected: tuple[int, int]) -> None:
    assert weights(percent) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (CANARY, ""),
        (LINEAR, ""),
        ({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0}, ""),
        ({"strategy": "BLUE_GREEN"}, "bakeTimeInMinutes is required"),
        ({"strategy": "CANARY", "bakeTimeInMinutes": 1441}, "bakeTimeInMinutes must be from 0 to 1440"),
        ({"strategy": "RED_BLACK"}, "RED_BLACK is not supported"),
        (CANARY | {"strategy": "LINEAR"}, "canaryConfiguration is only valid"),
        ({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 0.05}}, "multiple of 0.1 from 0.1"),
        ({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 10.05}}, "multiple of 0.1"),
        ({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 2.9}}, "from 3.0 to 100.0"),
        ({"strategy": "LINEAR", "linearConfiguration": {"stepBakeTimeInMinutes": -1}}, "from 0 to 1440"),
        (CANARY | {"lifecycleHooks": [{"lifecycleStages": ["POST_SCALE_UP"]}]}, "of the type PAUSE only"),
        (CANARY | {"lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["BAKE_TIME"]}]}, "may stand"),
        (
            CANARY
            | {
                "lifecycleHooks": [
                    {
                        "targetType": "PAUSE",
                        "lifecycleStages": ["POST_SCALE_UP"],
                        "timeoutConfiguration": {"timeoutInMinutes": 20_161},
                    }
                ]
            },
            "from 1 to 20160",
        ),
    ],
)
def test_what_ecs_refuses(given: dict[str, Any], said: str) -> None:
    found = refusal(given, given)
    assert said in found
    assert bool(found) == bool(said)


def test_another_strategy_ends_what_belongs_to_the_one_before() -> None:
    before = CANARY | {"bakeTimeInMinutes": 5, "maximumPercent": 200}
    assert without_others(before | {"strategy": "ROLLING"}) == {"strategy": "ROLLING", "maximumPercent": 200}
    assert "canaryConfiguration" not in without_others(before | LINEAR)

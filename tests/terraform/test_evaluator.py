"""The evaluator against the tables of the user guide (alarms-and-missing-data), and the syntax that it refuses."""

import pytest

from tests.terraform.evaluator import ALARM, INSUFFICIENT_DATA, OK, READINGS, Alarm, Metric, Reading, evaluate

KEPT = "the state until now"
SETTINGS = ("missing", "ignore", "breaching", "notBreaching")


@pytest.mark.parametrize(
    ("datapoints", "points", "states"),
    [
        (3, "0 - X - X", (OK, OK, OK, OK)),
        (3, "- - - - 0", (OK, OK, OK, OK)),
        (3, "- - - - -", (INSUFFICIENT_DATA, KEPT, ALARM, OK)),
        (3, "0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
        (3, "- - X - -", (ALARM, KEPT, ALARM, OK)),
        (2, "0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "0 - X - -", (OK, OK, ALARM, OK)),
        (2, "- - - - 0", (OK, OK, ALARM, OK)),
        (2, "- - - X -", (ALARM, KEPT, ALARM, OK)),
    ],
)
def test_m_of_three_with_five_looked_at(datapoints: int, points: str, states: tuple[str, ...]) -> None:
    read = [{"0": False, "X": True, "-": None}[point] for point in points.split()]
    for setting, state in zip(SETTINGS, states, strict=True):
        for before in (OK, ALARM):
            expected = before if state == KEPT else state
            assert evaluate(read, datapoints, 3, setting, before) == expected, setting


def test_a_setting_that_cloudwatch_does_not_know() -> None:
    with pytest.raises(ValueError, match="treat_missing_data"):
        evaluate([None], 1, 1, "unknown", OK)


def alarm(expression: str) -> Alarm:
    def metric(name: str) -> Metric:
        return Metric("N", name, frozenset(), "Sum")

    queries: dict[str, Metric | str] = {"result": expression, "a": metric("a"), "b": metric("b")}
    return Alarm("name", "GreaterThanThreshold", 1.5, 1, 1, "missing", 60, queries, "result")


def state(expression: str, reading: Reading, **metrics: float) -> str:
    samples = {("N", name, frozenset[tuple[str, str]]()): [(30, value)] for name, value in metrics.items()}
    return alarm(expression).replay(samples, reading, 0, 60)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a * b", ALARM),
        ("a - b", OK),
        ("a / (b - 3)", INSUFFICIENT_DATA),
        ("SUM([a, b])", ALARM),
        ("IF(a > 1, b, 0)", ALARM),
        ("IF(a > 1, 0, b)", OK),
    ],
)
def test_metric_math(expression: str, expected: str) -> None:
    assert state(expression, Reading(True, True, 0), a=2.0, b=3.0) == expected


def test_metric_math_that_is_not_known_is_refused() -> None:
    for expression in ("AVG([a, b])", "a ** b", "FILL(a, REPEAT)", "SUM(a)", "-a"):
        with pytest.raises((NotImplementedError, KeyError)):
            state(expression, READINGS[0], a=1.0, b=1.0)


def test_what_the_guide_leaves_open_is_read_both_ways() -> None:
    states = {(r.fill_empty, r.missing_is_zero): state("a + FILL(b, 0)", r, a=2.0) for r in READINGS if r.extra == 0}
    assert states == {
        (True, True): ALARM,
        (True, False): ALARM,
        (False, True): ALARM,
        (False, False): INSUFFICIENT_DATA,
    }

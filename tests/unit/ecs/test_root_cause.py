"""Which of all that is known about a failed deployment is its cause."""

from __future__ import annotations

import json

import pytest

from fargate_ops.ecs.root_cause import error_in, readable, root_cause, without
from fargate_ops.ecs.tasks import Stop

SETTINGS = [
    "Traceback (most recent call last):",
    '  File "/srv/settlement/app.py", line 37, in from_environment',
    "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings",
    "database_pool_recycle_seconds",
    "  Input should be greater than or equal to 1 [type=greater_than_equal]",
    "    For further information visit https://errors.pydantic.dev/2.14/v/greater_than_equal",
]
METRICS = json.dumps({"level": "INFO", "message": "database pool", "_aws": {}, "error": "PoolTimeouts"})
CONNECTION = json.dumps(
    {
        "level": "ERROR",
        "message": "not ready",
        "exception": 'Traceback:\n  File "a"\npsycopg2.OperationalError: no database\n\n(Background on this error)',
    }
)


def stop(reason: str = "Essential container in task exited", exit_code: int | None = 3, code: str = "") -> Stop:
    return Stop(
        task_arn="arn:task/c/7", revision="app:2", exit_code=exit_code, code=code, reason=reason, container_reason=""
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            [*SETTINGS, json.dumps({"level": "ERROR", "message": "Worker failed to boot."})],
            "ValidationError: 1 validation error for Settings database_pool_recycle_seconds "
            "Input should be greater than or equal to 1 [type=greater_than_equal]",
        ),
        ([CONNECTION, METRICS], "OperationalError: no database"),
        (["psycopg2.errors.DivisionByZero: division by zero", ""], "DivisionByZero: division by zero"),
        ([json.dumps({"level": "ERROR", "message": "no port"}), "an error occurred"], "ERROR no port"),
        (["starting", 'FATAL:  database "nowhere" does not exist', "bye"], 'FATAL:  database "nowhere" does not exist'),
        (["starting", METRICS, '["error"]'], '["error"]'),
        (["starting", METRICS], ""),
        ([], ""),
    ],
)
def test_the_last_error_of_a_log_is_one_line(lines: list[str], said: str) -> None:
    assert error_in(lines) == said


@pytest.mark.parametrize(
    ("stops", "lines", "targets", "cause"),
    [
        ([stop()], ["RuntimeError: boom"], [], "exit code 3: RuntimeError: boom"),
        ([stop(exit_code=137)], [], [], "exit code 137"),
        (
            [stop("CannotPullContainerError: not found", None, "TaskFailedToStart")],
            [],
            [],
            "never started; CannotPullContainerError: not found",
        ),
        (
            [stop("Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:x)", None)],
            ["RuntimeError: boom"],
            ["10.0.0.9:8000 draining, x", "10.0.0.8:8000 unhealthy, these codes: [503]"],
            "Task failed ELB health checks: unhealthy, these codes: [503]: RuntimeError: boom",
        ),
        ([], ["RuntimeError: boom"], ["10.0.0.8:8000 initial"], "not done within 5 s: RuntimeError: boom"),
        ([], ["fine"], ["10.0.0.8:8000 unhealthy, Timeout"], "not done within 5 s: unhealthy, Timeout"),
        ([], [], [], "not done within 5 s"),
    ],
)
def test_the_cause_is_how_the_task_ended_and_its_last_error(
    stops: list[Stop], lines: list[str], targets: list[str], cause: str
) -> None:
    assert root_cause(stops, lines, targets, "not done within 5 s") == cause


def test_the_evidence_does_not_repeat_the_cause() -> None:
    cause = root_cause([stop()], [CONNECTION], [], "")
    assert without(readable([METRICS, "up", CONNECTION]), cause) == [
        "up",
        "ERROR not ready",
        "  Traceback:",
        '    File "a"',
        "  psycopg2.OperationalError: no database",
        "  (Background on this error)",
    ]
    assert without(["RuntimeError: boom", "up"], "exit code 3: RuntimeError: boom") == ["up"]
    assert without(["a", ""], "") == ["a", ""]

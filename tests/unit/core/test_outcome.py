"""The end of a command."""

import json

from fargate_ops.core.outcome import Kind, Outcome


def test_an_outcome_survives_a_tasks_result() -> None:
    outcome = Outcome(kind=Kind.FAILED_AND_UNDONE, what="the release failed", facts={"version": "5f0c2b7d9e31"})
    assert Outcome.from_result(json.loads(json.dumps(outcome.to_result()))) == outcome

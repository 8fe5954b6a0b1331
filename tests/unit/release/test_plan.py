"""What a release decides from the wanted definition, the running one and the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fargate_ops.ecs.rollout import Deployment
from fargate_ops.ecs.task_definition import differences, digest
from fargate_ops.release.plan import Plan, Revision, Situation, decide
from fargate_ops.release.stale_tasks import Staleness
from fargate_ops.state.ledger import Event, Outcome, Release, fold

START = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
SECRET = "arn:secret:app"
DEFINITION_DIGEST = "3f2a" + "0" * 60


def definition(memory: str = "512", *, family: str = "app", database: str = "db-1") -> dict[str, Any]:
    """Return a definition in canonical form."""
    return {
        "family": family,
        "memory": memory,
        "containerDefinitions": [{"name": "api", "environment": {"DATABASE_INSTANCE": database}}],
    }


def arn(number: int, family: str = "app") -> str:
    return f"arn:aws:ecs:ap-northeast-2:123456789012:task-definition/{family}:{number}"


def releases(*happened: tuple[int, *tuple[Outcome, ...]]) -> list[Release]:
    """Return releases of revisions, each with its events; the schema of revision 2 is ``0002``, and so on."""
    return fold(
        Event(
            release=f"release-{place}",
            outcome=outcome,
            service="s",
            version=f"v{number}",
            digest=f"sha256:{number}",
            revision=arn(number),
            schema_head=f"000{number}",
            definition_digest=DEFINITION_DIGEST,
            by="ann",
            at=START + timedelta(minutes=10 * place, seconds=second),
        )
        for place, (number, *outcomes) in enumerate(happened)
        for second, outcome in enumerate(outcomes)
    )


BEGUN, SUCCEEDED, FAILED = Outcome.IN_PROGRESS, Outcome.SUCCEEDED, Outcome.FAILED
PRIMARY = Deployment(
    id="ecs-svc/7",
    status="PRIMARY",
    revision=arn(2),
    desired=2,
    pending=0,
    running=2,
    failed=0,
    rollout_state="COMPLETED",
    reason="",
)
#: Revision 2 runs, is recorded as a success and is wanted.
AT_REST = Situation(
    wanted=definition(),
    wanted_admin=definition(family="app-admin"),
    primary=PRIMARY,
    running=Revision(arn(2), definition()),
    latest=Revision(arn(3), definition("1024")),
    latest_admin=Revision(arn(5, "app-admin"), definition(family="app-admin")),
    releases=releases((1, BEGUN, SUCCEEDED), (2, BEGUN, SUCCEEDED)),
    schema_head="0002",
    app_secret_has_value=True,
    minimum_tasks=3,
    database_secrets=[SECRET],
)
NOTHING = Plan(
    release="new",
    needed=False,
    resumes=False,
    first=False,
    revision=arn(2),
    admin_revision=arn(5, "app-admin"),
    prepare="",
    force=False,
    desired_count=None,
    deployment=None,
    previous_revision=arn(2),
    previous_name="v2+3f2a",
    changes=[],
    definition_digest=digest(definition()),
)


def test_what_runs_and_is_recorded_is_left_alone() -> None:
    assert decide(AT_REST, "new") == NOTHING


def test_another_definition_is_released() -> None:
    wanted = definition("2048")
    assert decide(replace(AT_REST, wanted=wanted), "new") == replace(
        NOTHING,
        needed=True,
        revision=None,
        changes=differences(definition(), wanted),
        definition_digest=digest(wanted),
    )


def test_an_identical_newest_revision_is_used_again() -> None:
    assert decide(replace(AT_REST, wanted=definition("1024")), "new").revision == arn(3)
    assert decide(replace(AT_REST, wanted=definition("1024"), latest=None), "new").revision is None


@pytest.mark.parametrize("latest", [None, Revision(arn(4, "app-admin"), definition("256", family="app-admin"))])
def test_an_admin_revision_that_differs_is_registered(latest: Revision | None) -> None:
    assert decide(replace(AT_REST, latest_admin=latest), "new").admin_revision is None


def test_without_a_database_there_is_nothing_to_prepare() -> None:
    without = replace(AT_REST, wanted_admin=None, latest_admin=None, app_secret_has_value=False)
    assert decide(without, "new") == replace(NOTHING, admin_revision=None)
    for changed in ({"schema_head": "0003"}, {"releases": []}, {"wanted": definition(database="")}):
        assert decide(replace(without, **changed), "new").prepare == ""


def test_a_definition_of_another_family_is_no_base_for_a_comparison() -> None:
    running = Revision(arn(1, "app-placeholder"), definition(family="app-placeholder"))
    assert decide(replace(AT_REST, running=running), "new").changes == differences(None, definition())


# -- what an interrupted flow left ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("happened", "release"),
    [
        (((1, BEGUN, SUCCEEDED), (2, BEGUN)), "release-1"),
        (((1, BEGUN, SUCCEEDED), (2, BEGUN, Outcome.PREPARED)), "release-1"),
        # It has an end, but no success: what serves is recorded under a new name.
        (((1, BEGUN, SUCCEEDED), (2, BEGUN, FAILED)), "new"),
        # The newest one is of another revision.
        (((1, BEGUN, SUCCEEDED), (2, BEGUN), (3, BEGUN)), "new"),
    ],
)
def test_what_serves_without_a_recorded_success_is_taken_up_where_it_is(happened: Any, release: str) -> None:
    plan = decide(replace(AT_REST, releases=releases(*happened), schema_head="0001"), "new")
    assert plan == replace(
        NOTHING,
        release=release,
        needed=True,
        resumes=True,
        deployment="ecs-svc/7",
        previous_revision=arn(1),
        previous_name="v1+3f2a",
    )


def test_a_first_release_that_was_interrupted_is_taken_up_and_its_tasks_are_not_counted_again() -> None:
    plan = decide(replace(AT_REST, releases=releases((2, BEGUN))), "new")
    assert (plan.first, plan.resumes, plan.desired_count, plan.prepare) == (True, True, None, "")
    assert (plan.previous_revision, plan.previous_name) == ("", "")


def test_what_serves_and_nobody_recorded_is_recorded_under_a_new_name() -> None:
    plan = decide(replace(AT_REST, releases=[]), "new")
    assert (plan.release, plan.resumes, plan.needed) == ("new", True, True)


def test_what_ecs_gave_up_is_put_in_service_again_by_force() -> None:
    plan = decide(replace(AT_REST, primary=replace(PRIMARY, rollout_state="FAILED")), "new")
    assert plan == replace(NOTHING, needed=True, force=True)


def test_a_first_release_that_left_the_service_without_tasks_is_no_success_to_take_up() -> None:
    none = replace(PRIMARY, desired=0)
    first = replace(AT_REST, primary=none, releases=releases((2, BEGUN)))
    plan = decide(first, "new")
    assert (plan.release, plan.resumes, plan.force, plan.needed, plan.desired_count) == ("new", False, True, True, 3)
    assert plan.prepare == "no release has succeeded yet"
    assert decide(replace(first, minimum_tasks=0), "new").desired_count == 1
    # After a success auto scaling owns the number, which may be 0.
    assert decide(replace(AT_REST, primary=none), "new") == NOTHING


# -- stale tasks ------------------------------------------------------------------------------------------------------


def test_what_runs_in_doubt_is_replaced_by_the_same() -> None:
    plan = decide(replace(AT_REST, staleness=[Staleness("its tasks do not log")]), "new")
    assert plan == replace(NOTHING, needed=True, force=True, changes=["its tasks do not log"])


def test_another_definition_replaces_what_runs_in_doubt_without_force() -> None:
    plan = decide(replace(AT_REST, wanted=definition("1024"), staleness=[Staleness("its tasks do not log")]), "new")
    assert (plan.force, plan.changes[-1]) == (False, "its tasks do not log")


def test_a_release_that_is_taken_up_is_not_replaced_for_a_doubt() -> None:
    left = replace(AT_REST, releases=releases((2, BEGUN)), staleness=[Staleness("its tasks do not log")])
    assert (decide(left, "new").resumes, decide(left, "new").force) == (True, False)


# -- why the database is prepared -------------------------------------------------------------------------------------

OTHER = definition("2048")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"app_secret_has_value": False}, "the application's database secret has no value yet"),
        ({"app_secret_has_value": False, "wanted": OTHER}, "the application's database secret has no value yet"),
        ({"wanted": OTHER}, ""),
        # Nothing is released.
        ({"schema_head": "0003"}, ""),
        ({"wanted": OTHER, "releases": []}, "no release has succeeded yet"),
        ({"wanted": OTHER, "staleness": [Staleness("x"), Staleness("newer password", SECRET)]}, "newer password"),
        ({"wanted": OTHER, "staleness": [Staleness("newer token", "arn:secret:another")]}, ""),
        ({"wanted": definition(database="db-2")}, "the database db-1 -> db-2"),
        ({"wanted": definition(database="db-2"), "running": Revision(arn(2), {})}, "the database unknown -> db-2"),
        ({"wanted": OTHER, "schema_head": "0003"}, "schema 0002 -> 0003"),
        ({"wanted": OTHER, "schema_head": None}, "schema 0002 -> unknown"),
    ],
)
def test_the_database_is_prepared_for_a_reason(changes: dict[str, Any], reason: str) -> None:
    assert decide(replace(AT_REST, **changes), "new").prepare == reason


def test_of_two_schemas_that_are_not_known_nobody_says_that_they_are_one() -> None:
    unknown = [replace(release, schema_head=None) for release in AT_REST.releases]
    plan = decide(replace(AT_REST, wanted=OTHER, releases=unknown, schema_head=None), "new")
    assert plan.prepare == "schema unknown -> unknown"
    plan = decide(replace(AT_REST, wanted=OTHER, releases=unknown), "new")
    assert plan.prepare == "schema unknown -> 0002"


def test_a_plan_is_a_fact_of_ansible() -> None:
    assert Plan.from_fact(NOTHING.to_fact()) == NOTHING
    assert NOTHING.to_fact()["previous_name"] == "v2+3f2a"
    assert Revision(arn(7), {}).name == "app:7"

"""Rollbacks against a small ECS: where they land, what they refuse, and what the ledger says afterwards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from roles.deploy_lock.python.lock import Lock
from roles.ecs_release.python.operation import ReleaseError
from roles.ecs_release.python.rollback import RollbackPlan
from roles.release_ledger.python.ledger import Ledger, Outcome, earlier_successes

if TYPE_CHECKING:
    from conftest import FakeEcs, World


def serving(world: World) -> str:
    """The version of the image that PRIMARY runs."""
    definition = world.ecs.definitions[world.ecs.primary["taskDefinition"]]
    return str(definition["containerDefinitions"][0]["image"]).rpartition(":")[2]


def outcomes(world: World) -> list[tuple[str, Outcome]]:
    return [(item.version, item.outcome) for item in Ledger(world.s3, "state-bucket", "test").releases()]


def would_land(world: World) -> list[str]:
    """What status says."""
    return [item.version for item in earlier_successes(Ledger(world.s3, "state-bucket", "test").releases())]


@pytest.fixture
def three(world: World) -> World:
    for version in ("aaaa", "bbbb", "cccc"):
        world.released(version)
    return world


def in_flight(world: World, version: str, **changes: Any) -> None:
    """A release whose deployment has begun."""
    releaser = world.releaser(version, **changes)
    plan, _ = releaser.register(releaser.plan())
    releaser.begin(plan)
    releaser.move(str(plan.revision))


# -- where it lands ---------------------------------------------------------------------------------------------------


def test_each_call_goes_one_release_further_back_as_status_said(three: World) -> None:
    for _ in range(2):
        said = would_land(three)[0]
        three.rolled_back()
        assert serving(three) == said
    assert serving(three) == "aaaa"
    with pytest.raises(ReleaseError, match="no earlier release that succeeded"):
        three.rollback().plan()


def test_the_ledger_tells_who_took_what_out_of_service(three: World) -> None:
    three.rolled_back()
    assert outcomes(three) == [
        ("aaaa", Outcome.SUCCEEDED),
        ("bbbb", Outcome.SUCCEEDED),
        ("cccc", Outcome.ROLLED_BACK),
        ("bbbb", Outcome.SUCCEEDED),
    ]
    undone = Ledger(three.s3, "state-bucket", "test").releases()[2]
    assert undone.why == "rolled back to bbbb by ann@laptop"


def test_people_elsewhere_hear_who_did_it(three: World) -> None:
    three.rolled_back()
    assert three.notified[-1].startswith("test: rolled back by ann@laptop from cccc to bbbb in")


def test_nothing_is_registered_migrated_or_scaled(three: World) -> None:
    definitions, runs, limits = len(three.ecs.definitions), len(three.ecs.runs), three.autoscaling.limits
    three.ecs.service["desiredCount"] = 3
    three.rolled_back()
    assert (len(three.ecs.definitions), len(three.ecs.runs), three.autoscaling.limits) == (definitions, runs, limits)
    assert three.ecs.service["desiredCount"] == 3


def test_limits_are_those_that_hold_at_this_moment(three: World) -> None:
    three.clock = lambda: datetime(2026, 1, 30, tzinfo=UTC)
    three.rolled_back()
    assert three.autoscaling.limits == (3, 6)


def test_it_has_succeeded_where_the_limits_cannot_be_set(three: World) -> None:
    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "DescribeScalableTargets")

    three.autoscaling.describe_scalable_targets = refuse  # type: ignore[method-assign]
    three.rolled_back()
    assert serving(three) == "bbbb"
    assert "limits were left as they are" in three.text


@pytest.mark.parametrize("wanted", ["aaaa", "1", ":1", "settlement-test:1", "-2", "2 steps", "2-steps"])
def test_anywhere_known_in_one_step(three: World, wanted: str) -> None:
    plan = three.rolled_back(wanted)
    assert serving(three) == "aaaa"
    assert (plan.version, plan.digest, plan.image) == ("aaaa", "sha256:aaaa", "registry/settlement@sha256:aaaa")


def test_an_explicit_target_a_second_time_changes_nothing(three: World) -> None:
    three.rolled_back("aaaa")
    updates, history = len(three.ecs.updates), outcomes(three)
    assert not three.rolled_back("aaaa").needed
    assert (len(three.ecs.updates), outcomes(three)) == (updates, history)


def test_a_hash_that_serves_with_other_settings_is_where_it_is(world: World) -> None:
    world.released("aaaa")
    world.released("aaaa", memory=1024)
    world.rolled_back()
    assert not world.rolled_back("aaaa").needed
    assert world.rolled_back("2").needed


def test_forward_again_takes_nothing_back(three: World) -> None:
    three.rolled_back("aaaa")
    three.rolled_back("cccc")
    assert serving(three) == "cccc"
    assert [outcome for _, outcome in outcomes(three)[:3]] == [
        Outcome.SUCCEEDED,
        Outcome.SUCCEEDED,
        Outcome.ROLLED_BACK,
    ]
    assert would_land(three) == ["bbbb", "aaaa"]


def test_failed_releases_are_no_place_to_land(three: World) -> None:
    releaser = three.releaser("dddd")
    plan, _ = releaser.register(releaser.plan())
    releaser.begin(plan)
    releaser.fail(plan, "broken")
    three.released("eeee")
    three.rolled_back()
    assert serving(three) == "cccc"


def test_a_change_of_the_inventory_is_undone_like_any_release(world: World) -> None:
    world.released("aaaa")
    world.released("aaaa", memory=1024)
    plan = world.rolled_back()
    assert plan.revision.endswith("settlement-test:1")


# -- in the middle of something ---------------------------------------------------------------------------------------


def test_a_release_in_flight_is_undone_and_nothing_before_it(three: World) -> None:
    in_flight(three, "bad0")
    three.rolled_back()
    assert serving(three) == "cccc"
    assert outcomes(three)[-2:] == [("bad0", Outcome.ROLLED_BACK), ("cccc", Outcome.SUCCEEDED)]
    assert would_land(three) == ["bbbb", "aaaa"]


def test_a_release_that_was_stopped_before_the_service_changed_is_all_that_is_undone(three: World) -> None:
    """The lock remembers that it was pre-empted from a release."""
    rollback = three.rollback(holder="me")
    now = datetime.now(UTC)
    mine = Lock(holder="me", machine="m", pid=1, owner="ann", purpose="Rollback", started=now, heartbeat=now)
    rollback.lock.swap(Lock(**{**mine.__dict__, "stopped_release": "bob, for Deploy, since noon"}), None)
    releaser = three.releaser("dddd")
    plan, _ = releaser.register(releaser.plan())
    releaser.begin(plan)
    assert not rollback.plan().needed
    assert "stopped the release of bob, for Deploy, since noon" in three.text
    assert outcomes(three)[-1] == ("dddd", Outcome.STOPPED)


def test_what_came_into_service_by_hand_gives_way_to_the_last_success(three: World) -> None:
    three.ecs.update_service(taskDefinition=three.ecs._add({"family": "hand", "containerDefinitions": []}))
    three.ecs.complete()
    three.rolled_back()
    assert serving(three) == "cccc"


def test_a_rollback_in_flight_is_watched_instead_of_begun_again(three: World) -> None:
    rollback = three.rollback()
    rollback.move(rollback.plan("aaaa").revision)
    updates = len(three.ecs.updates)
    three.rolled_back("aaaa")
    assert len(three.ecs.updates) == updates
    assert serving(three) == "aaaa"


def test_after_an_interrupted_rollback_the_same_command_goes_to_the_same_place(three: World) -> None:
    rollback = three.rollback()
    rollback.move(rollback.plan().revision)
    three.rolled_back()
    assert serving(three) == "bbbb"


def test_without_the_lock_nothing_is_touched(three: World) -> None:
    with pytest.raises(ReleaseError, match="lost the deployment lock"):
        three.rollback(holder="me").plan()
    assert outcomes(three)[-1] == ("cccc", Outcome.SUCCEEDED)


# -- what is refused --------------------------------------------------------------------------------------------------


def test_what_was_rolled_back_in_flight_never_succeeded(three: World) -> None:
    in_flight(three, "bad0")
    three.rolled_back()
    with pytest.raises(
        ReleaseError, match=r"bad0 \(settlement-test:4\) never succeeded \(rolled_back: rolled back to cccc"
    ):
        three.rollback().plan("bad0")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("0123456789ab", "The ledger knows no release 0123456789ab."),
        ("other:2", "The ledger knows no release other:2."),
        ("12345", "The ledger knows no release 12345."),
        ("abc", "The ledger knows no release abc."),
        ("-3", "There is no release 3 steps back."),
        ("-0", "There is no release 0 steps back."),
        ("broken", "broken (settlement-test:4) never succeeded (failed: exit code 3)."),
    ],
)
def test_a_refusal_says_what_is_possible(three: World, wanted: str, said: str) -> None:
    releaser = three.releaser("broken")
    plan, _ = releaser.register(releaser.plan())
    releaser.begin(plan)
    releaser.fail(plan, "exit code 3")
    with pytest.raises(ReleaseError) as refusal:
        three.rollback().plan(wanted)
    assert said in str(refusal.value)
    assert "Nothing was changed." in str(refusal.value)
    assert "Possible, newest first: bbbb (settlement-test:2), aaaa (settlement-test:1)." in str(refusal.value)
    assert "Next: make rollback ENV=test ARGS='-e rollback_to=bbbb'" in str(refusal.value)


def test_the_beginning_of_several_hashes_is_refused(world: World) -> None:
    for version in ("aaaa1", "aaaa2"):
        world.released(version)
    with pytest.raises(ReleaseError, match="aaaa is the beginning of several"):
        world.rollback().plan("aaaa")


def test_before_the_first_success_there_is_nothing_to_go_back_to(world: World) -> None:
    with pytest.raises(ReleaseError, match=r"No release has ever succeeded here[\s\S]*There is nothing to go back to"):
        world.rollback().plan()


def test_an_image_that_is_gone_is_refused(three: World) -> None:
    three.registry.gone.add("sha256:bbbb")
    with pytest.raises(ReleaseError, match=r"The image of bbbb \(settlement-test:2\) is gone") as refusal:
        three.rollback().plan()
    assert "Possible, newest first: aaaa (settlement-test:1)." in str(refusal.value)


def test_who_may_not_look_into_the_registry_may_still_roll_back(three: World) -> None:
    def denied(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeImages")

    three.registry.describe_images = denied  # type: ignore[method-assign]
    three.rolled_back()
    assert serving(three) == "bbbb"


def test_a_contract_migration_closes_the_way_back(world: World) -> None:
    world.released("aaaa", schema_head="0001", schema_compatible=["0001"])
    world.released("bbbb", schema_head="0002", schema_compatible=["0001", "0002"])
    world.released("cccc", schema_head="0003", schema_compatible=["0003"])
    with pytest.raises(ReleaseError, match=r"needs the schema 0002, and cccc has since run a contract migration") as no:
        world.rollback().plan()
    assert "There is nothing to go back to." in str(no.value)


def test_an_expanded_schema_leaves_the_way_back_open(world: World) -> None:
    world.released("aaaa", schema_head="0001", schema_compatible=["0001"])
    world.released("bbbb", schema_head="0002", schema_compatible=["0001", "0002"])
    world.rolled_back()
    assert serving(world) == "aaaa"


def test_a_contract_migration_that_never_ran_forbids_nothing(world: World) -> None:
    world.released("aaaa", schema_head="0001", schema_compatible=["0001"])
    world.released("bbbb", schema_head="0001", schema_compatible=["0001"])
    releaser = world.releaser("cccc", schema_head="0002", schema_compatible=["0002"])
    plan, _ = releaser.register(releaser.plan())
    releaser.begin(plan)
    world.ecs.run_exit_code = 1
    with pytest.raises(ReleaseError, match="preparing the database"):
        releaser.prepare(plan)
    releaser.fail(plan, "prepare")
    world.rolled_back()
    assert serving(world) == "aaaa"


def test_a_deregistered_revision_comes_back_as_a_copy_and_the_second_time_changes_nothing(three: World) -> None:
    second = next(arn for arn in three.ecs.definitions if arn.endswith("settlement-test:2"))
    three.ecs.deregistered.add(second)
    plan = three.rolled_back("bbbb")
    assert plan.revision.endswith("settlement-test:4")
    assert serving(three) == "bbbb"
    assert not three.rolled_back("bbbb").needed
    assert would_land(three) == ["aaaa"]


def test_a_deleted_revision_is_refused(three: World) -> None:
    describe = three.ecs.describe_task_definition

    def deleted(*, taskDefinition: str) -> Any:
        if taskDefinition.endswith(":2"):
            raise ClientError({"Error": {"Code": "ClientException", "Message": "Unable"}}, "DescribeTaskDefinition")
        return describe(taskDefinition=taskDefinition)

    three.ecs.describe_task_definition = deleted  # type: ignore[method-assign]
    with pytest.raises(ReleaseError, match=r"task definition of bbbb .* was deleted"):
        three.rollback().plan()


# -- when it does not work --------------------------------------------------------------------------------------------


def failing(world: World, *steps: Any, **context: Any) -> ReleaseError:
    rollback = world.rollback(**context)
    plan = rollback.plan()
    world.ecs.rollout = [lambda _: None, lambda _: None, *steps]
    with pytest.raises(ReleaseError) as failure:
        rollback.update(plan)
    rollback.fail(plan, failure.value.reason)
    return failure.value


def test_a_rollback_that_ecs_gives_up_says_so_and_what_serves(three: World) -> None:
    def complete(ecs: FakeEcs) -> None:
        ecs.complete()

    failure = failing(three, lambda ecs: ecs.fail_task(), lambda ecs: ecs.roll_back(), complete)
    assert "the rollback to bbbb (settlement-test:2) failed: circuit breaker triggered" in str(failure)
    assert "exit code 3" in failure.evidence
    assert "What serves now: settlement-test:3 (cccc)" in str(failure)
    assert outcomes(three)[-1] == ("bbbb", Outcome.FAILED)


def test_a_rollback_that_lasts_is_left_to_ecs(three: World) -> None:
    failure = failing(three, wait=-1)
    assert "ECS goes on trying." in str(failure)
    assert three.ecs.stopped_deployments == []
    assert three.ecs.primary["taskDefinition"].endswith(":2")


# -- afterwards -------------------------------------------------------------------------------------------------------


def test_a_routine_run_does_not_bring_it_back_and_says_how_to_insist(three: World) -> None:
    three.rolled_back()
    with pytest.raises(ReleaseError, match=r"cccc .* was rolled back to bbbb by ann@laptop") as refusal:
        three.releaser("cccc").plan()
    assert "ARGS='-e ecs_release_allow_rolled_back=true'" in str(refusal.value)
    three.released("cccc", allow_rolled_back=True)
    assert serving(three) == "cccc"
    assert not three.releaser("cccc").plan().needed


def test_a_rolled_back_release_in_flight_does_not_come_back_either(three: World) -> None:
    in_flight(three, "bad0")
    three.rolled_back()
    with pytest.raises(ReleaseError, match="is not released again"):
        three.releaser("bad0").plan()


def test_what_was_rolled_back_for_its_settings_is_refused_with_those_only(world: World) -> None:
    world.released("aaaa")
    world.released("aaaa", memory=1024)
    world.rolled_back()
    with pytest.raises(ReleaseError, match="is not released again"):
        world.releaser("aaaa", memory=1024).plan()
    assert world.releaser("aaaa", memory=2048).plan().needed


def test_the_next_release_goes_on_from_there(three: World) -> None:
    three.rolled_back()
    three.released("dddd")
    assert serving(three) == "dddd"
    assert would_land(three) == ["bbbb", "aaaa"]


# -- check mode -------------------------------------------------------------------------------------------------------


def test_a_preview_says_where_it_would_go_and_touches_nothing(three: World) -> None:
    history, updates = outcomes(three), len(three.ecs.updates)
    plan = three.rollback().plan(preview=True)
    assert plan.needed
    assert "would roll back: settlement-test:3 -> bbbb (settlement-test:2)" in three.text
    assert (outcomes(three), len(three.ecs.updates)) == (history, updates)


def test_a_plan_survives_being_a_fact(three: World) -> None:
    plan = three.rollback().plan(preview=True)
    assert RollbackPlan.from_fact(plan.to_fact()) == plan


def test_a_rollback_never_goes_to_another_database(three: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(three.context().stack["database"], "instance_identifier", "settlement-test-20261124-101500")
    with pytest.raises(ReleaseError) as refusal:
        three.rollback().plan()
    for said in (
        "bbbb (settlement-test:2) was released for the database settlement-test, and settlement-test-20261124-101500",
        "make release ENV=test ARGS='-e image_build_version=bbbb'",
        "make restore ENV=test",
        "There is nothing to go back to",
    ):
        assert said in str(refusal.value)
    assert serving(three) == "cccc"

    three.released("dddd")
    three.released("eeee")
    three.rolled_back()
    assert serving(three) == "dddd"

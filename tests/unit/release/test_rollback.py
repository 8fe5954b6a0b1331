"""Rollbacks against a small ECS: their targets, their refusals, and the ledger afterwards."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from botocore.exceptions import ClientError, EndpointConnectionError

from fargate_ops.core.outcome import Kind as EndKind
from fargate_ops.release.context import ReleaseError
from fargate_ops.release.rollback import Refusal, RollbackPlan, choose
from fargate_ops.state.ledger import Kind, Outcome, earlier_successes, release_id
from fargate_ops.state.lock import Lock
from tests.unit.release.conftest import OUTPUTS, failed, plain, without_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from fargate_ops.release.rollback import Rollback
    from tests.unit.release.conftest import FakeEcs, World


def serving(world: World) -> str:
    """Return the version of the image that PRIMARY runs."""
    definition = world.ecs.definitions[world.ecs.primary["taskDefinition"]]
    return str(definition["containerDefinitions"][0]["image"]).rpartition(":")[2]


def outcomes(world: World) -> list[tuple[str, Outcome]]:
    return [(item.version, item.outcome) for item in world.releases]


def container(world: World, revision: int) -> dict[str, Any]:
    """Return the container of a task definition, to change it."""
    (arn,) = [arn for arn in world.ecs.definitions if arn.endswith(f"settlement-test:{revision}")]
    definition: dict[str, Any] = world.ecs.definitions[arn]["containerDefinitions"][0]
    return definition


def would_land(world: World) -> list[str]:
    """Return the targets of successive rollbacks."""
    return [item.version for item in earlier_successes(world.releases)]


@pytest.fixture
def three(world: World) -> World:
    for version in ("aaaa", "bbbb", "cccc"):
        world.released(version)
    return world


ROLE = Path(__file__).parents[3] / "roles/ecs_release"


def in_flight(world: World, version: str, **changes: Any) -> None:
    """Begin a release and its deployment."""
    releaser = world.releaser(version, **changes)
    plan, _ = releaser.register(releaser.plan())
    releaser.begin(plan)
    releaser.service.update(str(plan.revision))


# -- where it lands ---------------------------------------------------------------------------------------------------


def test_each_call_goes_one_release_further_back_as_status_said(three: World) -> None:
    for _ in range(2):
        said = would_land(three)[0]
        assert choose(three.releases, three.snapshot.primary).version == said
        three.rolled_back()
        assert serving(three) == said
    assert serving(three) == "aaaa"
    with pytest.raises(ReleaseError, match=r"^test: There is no earlier release that succeeded\. Nothing"):
        three.rollback().plan()


def test_a_rollback_that_nobody_could_see_is_left_and_the_same_again_verifies_it(three: World) -> None:
    rollback = three.rollback()
    plan = rollback.plan()
    three.ecs.rollout = [lambda _: None, lambda ecs: ecs.complete()]
    rollback.update(plan)
    end = rollback.end(plan, failed("bbbb is not verified: no answer", unverified=True))
    assert (end.kind, end.cause) == (EndKind.UNVERIFIED, "no answer")
    assert end.next == "make rollback ENV=test, which verifies it"
    assert (serving(three), outcomes(three)[-1]) == ("bbbb", ("bbbb", Outcome.UNVERIFIED))
    updates = len(three.ecs.updates)
    assert three.rolled_back().needed
    assert (serving(three), outcomes(three)[-1]) == ("bbbb", ("bbbb", Outcome.SUCCEEDED))
    assert len(three.ecs.updates) == updates


def test_the_next_release_verifies_a_rollback_that_nobody_could_see(three: World) -> None:
    rollback = three.rollback()
    plan = rollback.plan()
    three.ecs.rollout = [lambda _: None, lambda ecs: ecs.complete()]
    rollback.update(plan)
    rollback.leave_unverified(plan, "no answer")
    three.releaser("dddd").settle()
    assert ("cccc", Outcome.ROLLED_BACK) in outcomes(three)
    assert outcomes(three)[-1] == ("bbbb", Outcome.SUCCEEDED)


def test_the_ledger_tells_who_took_what_out_of_service(three: World) -> None:
    three.rolled_back()
    assert outcomes(three) == [
        ("aaaa", Outcome.SUCCEEDED),
        ("bbbb", Outcome.SUCCEEDED),
        ("cccc", Outcome.ROLLED_BACK),
        ("bbbb", Outcome.SUCCEEDED),
    ]
    undone = three.releases[2]
    assert plain(undone.why) == "rolled back to bbbb by ann@laptop"


def test_the_ledger_describes_a_rollback_by_its_target(three: World) -> None:
    three.rolled_back()
    _, target, _, rollback = three.releases
    assert (rollback.kind, rollback.restores, rollback.by, rollback.why) == (
        Kind.ROLLBACK,
        target.id,
        "ann@laptop",
        "test",
    )
    for name in ("service", "version", "digest", "revision", "schema_head", "definition_digest"):
        assert getattr(rollback, name) == getattr(target, name)


def test_people_elsewhere_hear_who_did_it(three: World) -> None:
    three.rolled_back()
    assert three.notified[-1].startswith("test: rolled back by ann@laptop from cccc to bbbb in")
    assert plain(three.messages[-1].text).splitlines()[1:] == [
        "settlement-test:2 · <http://127.0.0.1:1>",
        "```test```",
    ]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("fail", ":red_circle: *test*: release of `bbbb` failed"),
        ("leave_unverified", ":large_yellow_circle: *test*: release of `bbbb` serves and is not verified"),
    ],
)
def test_a_rollback_that_did_not_succeed_is_recorded_and_sent_with_the_reason(
    three: World, end: str, said: str
) -> None:
    rollback = three.rollback()
    getattr(rollback, end)(rollback.plan(), "no answer")
    assert three.releases[-1].why == "no answer"
    assert plain(three.messages[-1].text).splitlines() == [
        said,
        "by ann@laptop · settlement-test:2 · <http://127.0.0.1:1>",
        "```rollback: no answer```",
        "Next: `make rollback ENV=test`",
    ]


@pytest.mark.parametrize("wanted", ["bbbb", "cccc"], ids=["it has failed already", "there was nothing to do"])
def test_a_rollback_fails_at_most_once(three: World, wanted: str) -> None:
    rollback = three.rollback()
    plan = rollback.plan(wanted)
    if plan.needed:
        rollback.fail(plan, "no answer")
    before = outcomes(three), three.messages[:]
    rollback.fail(plan, "no answer either")
    assert (outcomes(three), three.messages) == before


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
    plan = three.rolled_back()
    assert serving(three) == "bbbb"
    assert "recorded: rolled back to bbbb" in three.text.splitlines()
    assert "limits were left as they are" in three.text
    assert not three.rollback().succeed(replace(plan, needed=False)), "no change"


@pytest.mark.parametrize("wanted", ["aaaa", "1", ":1", "settlement-test:1", "-2", "2 steps", "2-steps"])
def test_anywhere_known_in_one_step(three: World, wanted: str) -> None:
    plan = three.rolled_back(wanted)
    assert serving(three) == "aaaa"
    assert (plan.version, plan.digest, plan.image) == ("aaaa", "sha256:aaaa", "registry/settlement@sha256:aaaa")


def test_an_explicit_target_a_second_time_changes_nothing(three: World) -> None:
    three.rolled_back("aaaa")
    updates, history = len(three.ecs.updates), outcomes(three)
    rollback = three.rollback()
    plan = rollback.plan("aaaa")
    assert not plan.needed
    assert not rollback.update(plan)
    assert not rollback.succeed(plan)
    assert (len(three.ecs.updates), outcomes(three)) == (updates, history)
    assert "nothing to roll back: aaaa (settlement-test:1) is what serves" in three.text.splitlines()


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


def test_the_outcome_says_how_to_go_forward_again(three: World) -> None:
    rollback = three.rollback()
    plan = rollback.plan("")
    assert rollback.done(plan, preview=True).next == "make status ENV=test"
    assert rollback.done(plan).next == (
        "commit a fix, then make release ENV=test; "
        f"{plan.previous} as it is: make release ENV=test ARGS='-e ecs_release_allow_rolled_back=true'"
    )
    assert rollback.done(replace(plan, needed=False)).next == "make status ENV=test"


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


def test_what_begins_now_is_newer_than_what_a_machine_began_whose_clock_is_ahead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(minutes=10)

    world.released("aaaa")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("fargate_ops.release.release.datetime", Ahead)
        world.released("bbbb")
    world.released("cccc")
    assert outcomes(world)[-1] == ("cccc", Outcome.SUCCEEDED)
    assert plain(world.releaser("dddd").plan().previous_name) == "cccc", "what is put back if it fails"
    assert world.rolled_back().version == "bbbb"
    assert outcomes(world)[-1] == ("bbbb", Outcome.SUCCEEDED)
    assert world.releases[-1].duration_seconds == 0


# -- in the middle of something ---------------------------------------------------------------------------------------


def test_a_release_in_flight_is_undone_and_nothing_before_it(three: World) -> None:
    in_flight(three, "bad0")
    three.rolled_back()
    assert serving(three) == "cccc"
    assert outcomes(three)[-2:] == [("bad0", Outcome.ROLLED_BACK), ("cccc", Outcome.SUCCEEDED)]
    assert would_land(three) == ["bbbb", "aaaa"]
    assert "rolling back: settlement-test:4 -> cccc (settlement-test:3)" in three.text.splitlines()
    assert "taking it out" not in three.text


def preempting(world: World) -> Rollback:
    """Return a rollback that took its lock from a release."""
    rollback = world.rollback(holder="me")
    now = datetime.now(UTC)
    mine = Lock(holder="me", machine="m", pid=1, owner="ann", purpose="Rollback", started=now, heartbeat=now)
    world.lock.swap(Lock(**{**mine.__dict__, "stopped_release": "bob, for Deploy, since noon"}), None)
    return rollback


def test_a_release_whose_process_died_is_undone_though_an_answer_does_not_show_it(three: World) -> None:
    in_flight(three, "bad0")
    three.ecs.stale_looks = 3
    assert three.rolled_back().version == "cccc", "and not one further back"
    assert serving(three) == "cccc"
    assert outcomes(three)[-2:] == [("bad0", Outcome.ROLLED_BACK), ("cccc", Outcome.SUCCEEDED)]


def test_a_release_that_was_stopped_is_undone_though_an_answer_does_not_show_it(three: World) -> None:
    in_flight(three, "bad0")
    three.ecs.stale_looks = 3
    rollback = preempting(three)
    plan = rollback.plan()
    assert (plan.version, plan.needed) == ("cccc", True)
    assert plain(three.releases[3].why) == "stopped by a rollback by ann@laptop"
    three.ecs.rollout = [nothing, complete]
    rollback.update(plan)
    assert serving(three) == "cccc"
    assert "bad0 had come into service: taking it out" in three.text.splitlines()
    assert plain(three.releases[3].why) == "being rolled back to cccc by ann@laptop"


def test_a_release_that_was_stopped_before_it_began_is_all_that_is_undone(three: World) -> None:
    plan = preempting(three).plan()
    assert (plan.version, plan.needed) == ("cccc", False)


def test_a_release_that_was_stopped_before_the_service_changed_is_all_that_is_undone(three: World) -> None:
    rollback = preempting(three)
    releaser = three.releaser("dddd")
    begun, _ = releaser.register(releaser.plan())
    releaser.begin(begun)
    deployments = three.ecs.service["deployments"]
    rollback.plan(preview=True)
    assert three.text.splitlines()[-2:] == [
        "would stop the release of bob, for Deploy, since noon",
        "would update the service to cccc (settlement-test:3) in any case: dddd began and has not ended",
    ]
    plan = rollback.plan()
    assert not rollback.update(plan)
    rollback.succeed(plan)
    assert "stopped the release of bob, for Deploy, since noon" in three.text.splitlines()
    assert "settlement-test:3 runs already" in three.text.splitlines()
    assert outcomes(three)[-2:] == [("dddd", Outcome.STOPPED), ("cccc", Outcome.SUCCEEDED)]
    assert (serving(three), three.ecs.service["deployments"]) == ("cccc", deployments)


@pytest.mark.parametrize("wanted", ["", "cccc"])
@pytest.mark.parametrize("stale_looks", [1, 2, 9])
def test_a_release_that_updated_the_service_a_moment_ago_is_undone_whatever_is_read(
    three: World, wanted: str, stale_looks: int
) -> None:
    """For seconds ECS may return the state before that update: the last success serves alone, at rest."""
    in_flight(three, "bad0")
    three.ecs.stale_looks = stale_looks
    rollback = three.rollback()
    plan = rollback.plan(wanted)
    assert plan.version == "cccc"
    said = "update the service to cccc (settlement-test:3) in any case: bad0 began and has not ended"
    assert said in three.text.splitlines()
    three.ecs.rollout = [lambda _: None] * stale_looks + [lambda ecs: ecs.complete()]
    assert rollback.update(plan)
    three.ecs.stale_looks = 0
    assert three.releases[2].outcome is Outcome.SUCCEEDED, "it stays in service"
    rollback.succeed(plan)
    assert serving(three) == "cccc"
    assert outcomes(three)[-3:] == [
        ("cccc", Outcome.SUCCEEDED),
        ("bad0", Outcome.ROLLED_BACK),
        ("cccc", Outcome.SUCCEEDED),
    ]
    assert "from bad0 to cccc" in three.notified[-1]
    with pytest.raises(ReleaseError, match=r"bad0\S+ .* is not released again"):
        three.releaser("bad0").plan()


def test_an_old_answer_between_plan_and_update_hides_nothing(three: World) -> None:
    in_flight(three, "bad0")
    rollback = three.rollback()
    plan = rollback.plan()
    three.ecs.stale_looks = 1
    three.ecs.rollout = [lambda _: None, lambda _: None, lambda ecs: ecs.complete()]
    assert rollback.update(plan)
    assert serving(three) == "cccc"


def test_what_came_into_service_by_hand_gives_way_to_the_last_success(three: World) -> None:
    three.ecs.update_service(taskDefinition=three.ecs._add({"family": "hand", "containerDefinitions": []}))
    three.ecs.complete()
    three.rolled_back()
    assert serving(three) == "cccc"
    assert "from hand:1 to cccc" in three.notified[-1]


def test_a_rollback_in_flight_is_watched_instead_of_begun_again(three: World) -> None:
    rollback = three.rollback()
    rollback.service.update(rollback.plan("aaaa").revision)
    updates = len(three.ecs.updates)
    plan = three.rollback().plan("aaaa")
    three.ecs.rollout = [nothing, complete]
    assert three.rollback().update(plan)
    assert len(three.ecs.updates) == updates
    assert serving(three) == "aaaa"


def test_a_target_that_ecs_gave_up_and_left_in_place_is_deployed_anew(three: World) -> None:
    rollback = three.rollback()
    rollback.service.update(rollback.plan().revision)
    three.ecs.primary["rolloutState"] = "FAILED"
    three.rolled_back()
    assert three.ecs.updates[-1]["forceNewDeployment"]
    assert (serving(three), outcomes(three)[-1]) == ("bbbb", ("bbbb", Outcome.SUCCEEDED))


def test_a_release_that_serves_and_is_being_deployed_anew_is_watched(three: World) -> None:
    three.ecs.update_service(forceNewDeployment=True)
    assert three.rollback().plan("cccc", preview=True).needed
    assert three.text == "would resume the rollback to cccc (settlement-test:3), which has not succeeded yet"


def test_after_an_interrupted_rollback_the_same_command_goes_to_the_same_place(three: World) -> None:
    rollback = three.rollback()
    rollback.service.update(rollback.plan().revision)
    three.rolled_back()
    assert serving(three) == "bbbb"


def test_without_the_lock_nothing_is_touched(three: World) -> None:
    untouched = r"lost the deployment lock, .*\. The service was not touched\.\n"
    with pytest.raises(ReleaseError, match=untouched):
        three.rollback(holder="me").plan()
    assert outcomes(three)[-1] == ("cccc", Outcome.SUCCEEDED)
    rollback, updates = preempting(three), len(three.ecs.updates)
    plan = rollback.plan("bbbb")
    three.lock.release("me", datetime.now(UTC))
    with pytest.raises(ReleaseError, match=untouched):
        rollback.update(plan)
    assert len(three.ecs.updates) == updates


# -- what is refused --------------------------------------------------------------------------------------------------


def test_what_was_rolled_back_in_flight_never_succeeded(three: World) -> None:
    in_flight(three, "bad0")
    three.rolled_back()
    with pytest.raises(
        ReleaseError, match=r"bad0\S+ \(settlement-test:4\) never succeeded \(rolled_back: rolled back to cccc"
    ):
        three.rollback().plan("bad0")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("0123456789ab", "The ledger knows no release 0123456789ab."),
        ("other:2", "The ledger knows no release other:2."),
        ("12345", "The ledger knows no release 12345."),
        ("bro", "The ledger knows no release bro."),
        ("-3", "There is no release 3 steps back."),
        ("-0", "There is no release 0 steps back."),
        ("broken", "broken (settlement-test:5) never succeeded (failed: exit code 3)."),
    ],
)
def test_a_refusal_says_what_is_possible(three: World, wanted: str, said: str) -> None:
    for memory, why in ((1024, "exit code 2"), (2048, "exit code 3")):
        releaser = three.releaser("broken", memory=memory)
        plan, _ = releaser.register(releaser.plan())
        releaser.begin(plan)
        releaser.fail(plan, why)
    with pytest.raises(ReleaseError) as refusal:
        three.rollback().plan(wanted)
    assert plain(refusal.value.reason) == said
    assert plain(refusal.value).splitlines() == [
        f"test: {said} Nothing was changed.",
        "The last success is cccc (settlement-test:3).",
        "Possible, newest first: bbbb (settlement-test:2), aaaa (settlement-test:1).",
        "Next: make rollback ENV=test ARGS='-e rollback_to=bbbb'",
    ]


def test_a_hash_of_digits_is_no_revision(world: World) -> None:
    for version in ("1234567", "7654321"):
        world.released(version)
    assert world.rolled_back("1234").version == "1234567"


def test_the_beginning_of_several_hashes_is_refused(world: World) -> None:
    for version in ("aaaa1", "aaaa2"):
        world.released(version)
    with pytest.raises(ReleaseError, match="aaaa is the beginning of several"):
        world.rollback().plan("aaaa")


def test_before_the_first_success_there_is_nothing_to_go_back_to(world: World) -> None:
    with pytest.raises(ReleaseError) as refusal:
        world.rollback().plan()
    assert str(refusal.value).splitlines() == [
        "test: No release has ever succeeded here. Nothing was changed.",
        "There is nothing to go back to.",
        "Next: a fix, then make deploy ENV=test",
    ]


@pytest.mark.parametrize("code", ["ImageNotFoundException", "RepositoryNotFoundException"])
def test_an_image_that_is_gone_is_refused(three: World, code: str) -> None:
    def gone(*, imageIds: list[dict[str, str]], **_: Any) -> None:
        if imageIds == [{"imageDigest": "sha256:bbbb"}]:
            raise ClientError({"Error": {"Code": code, "Message": "not there"}}, "DescribeImages")

    three.registry.describe_images = gone  # type: ignore[method-assign, assignment]
    with pytest.raises(ReleaseError, match=r"The image of bbbb\S+ \(settlement-test:2\) is gone") as refusal:
        three.rollback().plan()
    assert "Possible, newest first: aaaa (settlement-test:1)." in plain(refusal.value)


def test_who_may_not_look_into_the_registry_may_still_roll_back(three: World) -> None:
    def denied(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeImages")

    three.registry.describe_images = denied  # type: ignore[method-assign]
    three.rolled_back()
    assert serving(three) == "bbbb"
    assert "warning: whether the registry holds registry/settlement@sha256:bbbb is not known: " in three.text


@pytest.mark.parametrize(
    ("repository", "request_of"),
    [
        ("public.registry/team/settlement", {"repositoryName": "team/settlement"}),
        (
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/settlement",
            {"repositoryName": "team/settlement", "registryId": "123456789012"},
        ),
    ],
)
def test_an_image_is_looked_up_in_the_registry_of_its_account(
    three: World, repository: str, request_of: dict[str, str]
) -> None:
    requests: list[dict[str, Any]] = []
    three.registry.describe_images = lambda **request: requests.append(request)  # type: ignore[method-assign, assignment]
    container(three, 2)["image"] = f"{repository}@sha256:bbbb"
    three.rollback().plan(preview=True)
    assert requests == [{**request_of, "imageIds": [{"imageDigest": "sha256:bbbb"}]}]


def test_a_contract_migration_closes_the_way_back(world: World) -> None:
    world.released("aaaa", schema_head="0001", schema_compatible=["0001"])
    world.released("bbbb", schema_head="0002", schema_compatible=["0001", "0002"])
    world.released("cccc", schema_head="0003", schema_compatible=["0003"])
    with pytest.raises(
        ReleaseError, match=r"needs the schema 0002, and cccc\S+ has since run a contract migration"
    ) as no:
        world.rollback().plan()
    assert "There is nothing to go back to." in plain(no.value)


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
    assert "settlement-test:2 was deregistered: registered its copy settlement-test:4" in three.said
    again = three.rolled_back("bbbb")
    assert (again.needed, again.revision) == (False, plan.revision)
    assert would_land(three) == ["aaaa"]


def test_a_rollback_never_lands_on_what_serves(three: World) -> None:
    """What serves is a copy of a deregistered revision, or that revision itself, put back by hand."""
    second = next(arn for arn in three.ecs.definitions if arn.endswith("settlement-test:2"))
    three.ecs.deregistered.add(second)
    assert three.rolled_back("bbbb").revision.endswith("settlement-test:4")
    assert three.rollback().plan(preview=True).version == "aaaa"
    three.ecs.deregistered.clear()
    three.ecs.update_service(taskDefinition=second)
    three.ecs.complete()
    assert three.rollback().plan(preview=True).version == "aaaa"


def test_a_deleted_revision_is_refused(three: World) -> None:
    describe = three.ecs.describe_task_definition

    def deleted(*, taskDefinition: str) -> Any:
        if taskDefinition.endswith(":2"):
            raise ClientError({"Error": {"Code": "ClientException", "Message": "Unable"}}, "DescribeTaskDefinition")
        return describe(taskDefinition=taskDefinition)

    three.ecs.describe_task_definition = deleted  # type: ignore[method-assign, assignment]
    with pytest.raises(ReleaseError, match=r"task definition of bbbb.* was deleted"):
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
    failure = failing(three, lambda ecs: ecs.fail_task(), lambda ecs: ecs.roll_back(), complete)
    assert "the rollback to bbbb (settlement-test:2) failed: circuit breaker triggered" in plain(failure)
    assert failure.outcome("test").cause == "exit code 3"
    assert "What serves now: settlement-test:3 (cccc)" in plain(failure)
    assert outcomes(three)[-1] == ("bbbb", Outcome.FAILED)


def test_a_rollback_that_lasts_is_left_to_ecs(three: World) -> None:
    failure = failing(three, wait=-1)
    assert "ECS goes on trying." in plain(failure).splitlines()
    assert three.ecs.stopped_deployments == []
    assert three.ecs.primary["taskDefinition"].endswith(":2")


def test_a_rollback_that_another_deployment_replaced_is_not_called_going_on(three: World) -> None:
    (first,) = [arn for arn in three.ecs.definitions if arn.endswith("settlement-test:1")]

    def replaced(ecs: FakeEcs) -> None:
        ecs.update_service(taskDefinition=first)
        ecs.complete()

    failure = failing(three, replaced)
    assert "took the place of" in plain(failure)
    assert "ECS goes on trying." not in plain(failure)


# -- a rollback that did not come to its end --------------------------------------------------------------------------


def nothing(_: FakeEcs) -> None:
    """A look at which nothing has changed."""


def complete(ecs: FakeEcs) -> None:
    ecs.complete()


def fails(world: World, to: str = "") -> None:
    """Run a rollback that the circuit breaker gives up: the release that it should replace serves again."""
    rollback = world.rollback()
    plan = rollback.plan(to)
    world.ecs.rollout = [nothing, nothing, lambda ecs: ecs.fail_task(), lambda ecs: ecs.roll_back(), complete]
    with pytest.raises(ReleaseError) as failure:
        rollback.update(plan)
    end = rollback.end(plan, failed(failure.value.reason))
    assert end.kind is EndKind.FAILED
    assert plain(end.serves).endswith(", 2 tasks")
    assert plain(end.next) == (
        f"make rollback ENV=test, which tries {plan.version} again; ARGS='-e rollback_to=-2' goes one further back"
    )


def test_the_intent_is_recorded_before_the_service_is_touched(three: World) -> None:
    updates = len(three.ecs.updates)
    three.rollback().plan()
    assert outcomes(three)[-2:] == [("cccc", Outcome.ROLLING_BACK), ("bbbb", Outcome.IN_PROGRESS)]
    assert len(three.ecs.updates) == updates
    (undone,) = [item for item in three.releases if item.undone]
    assert plain(undone.why) == "being rolled back to bbbb by ann@laptop"
    assert three.releases[-1].why == "test"


def test_a_rollback_that_failed_is_taken_up_by_the_same_command_and_never_called_done(three: World) -> None:
    fails(three)
    assert serving(three) == "cccc"
    assert outcomes(three)[-2:] == [("cccc", Outcome.ROLLING_BACK), ("bbbb", Outcome.FAILED)]
    fails(three)
    assert three.rolled_back().version == "bbbb", "and not one further back"
    assert outcomes(three)[2:] == [
        ("cccc", Outcome.ROLLED_BACK),
        ("bbbb", Outcome.FAILED),
        ("bbbb", Outcome.FAILED),
        ("bbbb", Outcome.SUCCEEDED),
    ]
    undone = three.releases[2]
    assert plain(undone.why) == "rolled back to bbbb by ann@laptop"
    assert would_land(three) == ["aaaa"]


@pytest.mark.parametrize("wanted", ["-2", "aaaa"])
def test_after_a_rollback_that_failed_another_target_is_asked_for(three: World, wanted: str) -> None:
    fails(three)
    assert three.rolled_back(wanted).version == "aaaa"
    assert ("cccc", Outcome.ROLLED_BACK) in outcomes(three)


def test_a_rollback_to_a_name_that_failed_is_taken_up_there(three: World) -> None:
    fails(three, "aaaa")
    assert three.rolled_back().version == "aaaa"


@pytest.mark.parametrize("done", ["intent", "update", "complete"])
def test_a_rollback_that_was_killed_is_taken_up_where_it_is(three: World, done: str) -> None:
    rollback = three.rollback()
    plan = rollback.plan()
    if done != "intent":
        rollback.service.update(plan.revision)
    if done == "complete":
        three.ecs.complete()
    before = len(three.ecs.updates)
    assert three.rolled_back().version == "bbbb"
    assert len(three.ecs.updates) - before == (1 if done == "intent" else 0)
    assert outcomes(three)[2:] == [
        ("cccc", Outcome.ROLLED_BACK),
        ("bbbb", Outcome.STOPPED),
        ("bbbb", Outcome.SUCCEEDED),
    ]
    assert serving(three) == "bbbb"
    assert three.rolled_back().version == "aaaa", "the next one goes further back"


def test_a_rollback_that_came_into_service_and_was_not_verified_is_only_verified_again(three: World) -> None:
    rollback = three.rollback()
    plan = rollback.plan()
    three.ecs.rollout = [nothing, complete]
    rollback.update(plan)
    rollback.fail(plan, "answers with the wrong version")
    updates = len(three.ecs.updates)
    again = three.rollback()
    plan = again.plan()
    assert three.text.splitlines()[-1] == (
        "resuming the rollback to bbbb (settlement-test:2), which has not succeeded yet"
    )
    assert (plan.version, plan.needed) == ("bbbb", True)
    assert not again.update(plan)
    again.succeed(plan)
    assert len(three.ecs.updates) == updates
    assert ("cccc", Outcome.ROLLED_BACK) in outcomes(three)
    assert three.notified[-1].startswith("test: rolled back by ann@laptop from cccc to bbbb in")


def test_a_rollback_that_outlasts_its_wait_is_watched_by_the_next(three: World) -> None:
    failing(three, wait=-1)
    updates = len(three.ecs.updates)
    assert three.rolled_back().version == "bbbb"
    assert len(three.ecs.updates) == updates


def test_a_release_in_flight_whose_rollback_failed_is_undone_by_the_same_command(three: World) -> None:
    in_flight(three, "bad0")
    rollback = three.rollback()
    plan = rollback.plan()
    assert plan.version == "cccc"
    three.ecs.refuse["UpdateService"] = ClientError({"Error": {"Code": "X", "Message": "no"}}, "UpdateService")
    with pytest.raises(ReleaseError) as failure:
        rollback.update(plan)
    rollback.fail(plan, failure.value.reason)
    assert ("bad0", Outcome.ROLLING_BACK) in outcomes(three)
    assert plain(three.releases[3].why) == "being rolled back to cccc by ann@laptop"
    three.ecs.refuse.clear()
    assert three.rolled_back().version == "cccc"
    assert ("bad0", Outcome.ROLLED_BACK) in outcomes(three)
    assert would_land(three) == ["bbbb", "aaaa"]


def test_what_is_being_rolled_back_is_bound_while_it_serves(three: World) -> None:
    fails(three)
    releaser = three.releaser("cccc")
    releaser.settle()
    with pytest.raises(ReleaseError, match=r"cccc.* it is being rolled back to bbbb\S+ by ann@laptop") as refusal:
        releaser.plan()
    assert "Next: make rollback ENV=test to finish that; or commit a fix" in str(refusal.value)
    with pytest.raises(ReleaseError, match="is being rolled back"):
        three.releaser("cccc", memory=1024).plan()
    assert outcomes(three)[2] == ("cccc", Outcome.ROLLING_BACK)


def test_a_release_of_a_fix_concludes_a_rollback_that_failed(three: World) -> None:
    fails(three)
    three.released("dddd")
    assert outcomes(three)[2:] == [
        ("cccc", Outcome.ROLLED_BACK),
        ("bbbb", Outcome.FAILED),
        ("dddd", Outcome.SUCCEEDED),
    ]
    assert would_land(three) == ["bbbb", "aaaa"]
    assert three.rolled_back().version == "bbbb"


def test_a_routine_run_settles_a_rollback_that_nobody_watched_and_does_not_undo_it(three: World) -> None:
    rollback = three.rollback()
    rollback.service.update(rollback.plan().revision)
    three.ecs.rollout = [nothing, nothing, complete]
    releaser = three.releaser("cccc")
    releaser.settle()
    assert outcomes(three)[2:] == [("cccc", Outcome.ROLLED_BACK), ("bbbb", Outcome.SUCCEEDED)]
    with pytest.raises(ReleaseError, match="it was rolled back"):
        releaser.plan()


def test_a_routine_run_of_the_target_settles_it_too(three: World) -> None:
    rollback = three.rollback()
    rollback.service.update(rollback.plan().revision)
    three.ecs.complete()
    releaser = three.releaser("bbbb")
    releaser.settle()
    assert not releaser.plan().needed
    assert outcomes(three)[2:] == [("cccc", Outcome.ROLLED_BACK), ("bbbb", Outcome.SUCCEEDED)]
    assert three.rolled_back().version == "aaaa"


def test_a_rollback_is_called_off_by_the_name_of_what_serves(three: World) -> None:
    fails(three)
    updates = len(three.ecs.updates)
    assert three.rolled_back("cccc").needed
    assert len(three.ecs.updates) == updates
    assert not three.rolled_back("cccc").needed
    assert not three.releaser("cccc").plan().needed
    assert would_land(three) == ["bbbb", "aaaa"]


def test_a_release_that_was_stopped_before_the_service_leaves_a_failed_rollback_to_be_taken_up(three: World) -> None:
    fails(three)
    interrupted = three.releaser("dddd")
    plan, _ = interrupted.register(interrupted.plan())
    interrupted.begin(plan)
    interrupted.fail(plan, "killed")
    assert three.rollback().plan(preview=True).version == "bbbb"


@pytest.mark.parametrize("rolled", ["verified_wrongly", "given_up"])
@pytest.mark.parametrize("release", ["began", "moved", "stopped"])
def test_what_is_being_rolled_back_is_not_put_back_in_place_of_a_release_that_began_since(
    three: World, rolled: str, release: str
) -> None:
    if rolled == "given_up":
        fails(three)
    else:
        rollback = three.rollback()
        plan = rollback.plan()
        three.ecs.rollout = [nothing, complete]
        rollback.update(plan)
        rollback.fail(plan, "answers with the wrong version")
    releaser = three.releaser("dddd")
    plan_of_fix, _ = releaser.register(releaser.plan())
    releaser.begin(plan_of_fix)
    if release == "moved":
        releaser.service.update(str(plan_of_fix.revision))
        three.ecs.complete()
    again = three.rollback(holder="me")
    now = datetime.now(UTC)
    mine = Lock(holder="me", machine="m", pid=1, owner="ann", purpose="Rollback", started=now, heartbeat=now)
    stopped = {"stopped_release": "bob, for Deploy, since noon"} if release == "stopped" else {}
    three.lock.swap(Lock(**(mine.__dict__ | stopped)), None)
    assert again.plan(preview=True).version == "bbbb"
    assert three.rolled_back().version == "bbbb"
    assert serving(three) == "bbbb"
    assert ("cccc", Outcome.ROLLED_BACK) in outcomes(three)
    assert would_land(three) == ["aaaa"]


def test_a_target_that_serves_instead_of_an_unverified_release_has_yet_to_be_verified(three: World) -> None:
    fails(three)
    releaser = three.releaser("dddd")
    plan, _ = releaser.register(releaser.plan())
    releaser.begin(plan)
    releaser.leave_unverified(plan, "no answer")
    (second,) = [arn for arn in three.ecs.definitions if arn.endswith("settlement-test:2")]
    three.ecs.update_service(taskDefinition=second)
    three.ecs.complete()
    again = three.rollback().plan(preview=True)
    assert (again.version, again.needed) == ("bbbb", True)


def test_a_ledger_of_before_there_was_an_intent_reads_as_it_did(three: World) -> None:
    """In such a ledger, a rollback recorded `rolled_back` before it updated the service."""
    rollback = three.rollback()
    plan = rollback.plan()
    key = next(
        item["Key"]
        for item in three.s3.list_objects_v2(Bucket="state-bucket")["Contents"]
        if item["Key"].endswith("/rolling_back.json")
    )
    body = three.s3.get_object(Bucket="state-bucket", Key=key)["Body"].read().replace(b"rolling_back", b"rolled_back")
    three.s3.delete_object(Bucket="state-bucket", Key=key)
    three.s3.put_object(Bucket="state-bucket", Key=key.replace("rolling_back", "rolled_back"), Body=body)
    assert three.rollback().plan(preview=True).version == "bbbb"
    rollback.service.update(plan.revision)
    assert three.rollback().plan(preview=True).version == "bbbb"
    three.ecs.complete()
    assert three.rolled_back().version == "bbbb"
    assert would_land(three) == ["aaaa"]


# -- what a target needs ----------------------------------------------------------------------------------------------

RETIRED = "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:retired-Ab12Cd"


@pytest.fixture
def retired(world: World) -> World:
    """The rollback's target uses a secret that no later release uses."""
    world.released("aaaa")
    world.released("bbbb", secrets={"TOKEN": f"{RETIRED}:token::"})
    world.secrets.stored[RETIRED] = '{"token": "never shown"}'
    world.released("cccc")
    return world


def refused_untouched(world: World) -> str:
    """Return the refusal of a rollback and of its preview, which are the same and change nothing."""
    before = outcomes(world), len(world.ecs.updates), len(world.ecs.definitions)
    refusals = []
    for preview in (True, False):
        with pytest.raises(ReleaseError) as refusal:
            world.rollback().plan(preview=preview)
        refusals.append(plain(refusal.value))
    assert (outcomes(world), len(world.ecs.updates), len(world.ecs.definitions)) == before
    assert refusals[0] == refusals[1]
    assert "never shown" not in refusals[0] + world.text
    return refusals[0]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "ResourceNotFoundException",
            "retired-Ab12Cd does not exist, or has no such value (ResourceNotFoundException)",
        ),
        ("InvalidRequestException", "retired-Ab12Cd is scheduled for deletion (InvalidRequestException)"),
    ],
)
def test_a_target_whose_secret_is_gone_is_refused_before_anything_moves(retired: World, code: str, said: str) -> None:
    retired.secrets.errors[RETIRED] = code
    refusal = refused_untouched(retired)
    assert f"bbbb (settlement-test:2) needs TOKEN (settlement-test): {said}. Nothing was changed." in refusal
    assert "Possible, newest first: aaaa (settlement-test:1)." in refusal
    assert "Next: make rollback ENV=test ARGS='-e rollback_to=aaaa'" in refusal
    retired.rolled_back("aaaa")
    assert serving(retired) == "aaaa"


def test_a_target_with_another_container_is_refused(retired: World) -> None:
    container(retired, 2)["name"] = "web"
    assert "bbbb (settlement-test:2) has no container api, which the service registers." in refused_untouched(retired)


def test_what_serves_with_another_container_has_no_known_image(retired: World) -> None:
    container(retired, 3)["name"] = "web"
    plan = retired.rollback().plan("cccc")
    assert (plan.needed, plan.image) == (False, "")
    assert "warning: cccc (settlement-test:3) has no container api, which the service registers." in retired.text


def test_what_serves_already_needs_nothing_to_move(retired: World) -> None:
    retired.rolled_back()
    retired.secrets.errors[RETIRED] = "ResourceNotFoundException"
    assert not retired.rolled_back("bbbb").needed
    assert (
        "warning: bbbb (settlement-test:2) needs TOKEN (settlement-test): retired-Ab12Cd does not exist" in retired.text
    )


def test_a_target_whose_secret_lost_a_key_is_refused(retired: World) -> None:
    retired.secrets.stored[RETIRED] = '{"another": "never shown"}'
    assert "needs TOKEN (settlement-test): retired-Ab12Cd has no JSON key token." in refused_untouched(retired)


def test_a_target_whose_role_or_log_group_is_gone_is_refused(retired: World) -> None:
    retired.iam.gone.add("execution")
    retired.logs.groups.remove("/ecs/test")
    assert refused_untouched(retired).splitlines() == [
        "test: bbbb (settlement-test:2) needs execution role (settlement-test): there is no role execution.",
        "bbbb (settlement-test:2) needs /ecs/test: there is no such log group, so no task could start. "
        "Nothing was changed.",
        "The last success is cccc (settlement-test:3).",
        "There is nothing to go back to.",
        "Next: a fix, then make deploy ENV=test",
    ]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "InternalServiceError"])
def test_what_cannot_be_looked_at_is_a_warning(retired: World, code: str) -> None:
    retired.secrets.errors[RETIRED] = code
    retired.rolled_back()
    assert serving(retired) == "bbbb"
    assert "warning: retired-Ab12Cd was not checked: " in retired.text
    assert "GetSecretValue" in retired.text


@pytest.mark.parametrize("which", ["registry", "secrets", "iam", "logs"])
def test_a_service_that_does_not_answer_stops_no_rollback(retired: World, which: str) -> None:
    class Away:
        def __getattr__(self, _: str) -> Any:
            def call(**_: Any) -> Any:
                raise EndpointConnectionError(endpoint_url="https://away")

            return call

    setattr(retired, which, Away())
    retired.rolled_back()
    assert serving(retired) == "bbbb"
    assert "warning: " in retired.text


@pytest.mark.parametrize("recorded", [True, False])
def test_a_definition_that_cannot_be_looked_at_stops_no_rollback(retired: World, recorded: bool) -> None:
    if not recorded:
        forget_names(retired)
    describe = retired.ecs.describe_task_definition

    def throttled(*, taskDefinition: str) -> Any:
        if taskDefinition.endswith(":2"):
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "DescribeTaskDefinition")
        return describe(taskDefinition=taskDefinition)

    retired.ecs.describe_task_definition = throttled  # type: ignore[method-assign, assignment]
    assert retired.rolled_back().image == ""
    assert serving(retired) == "bbbb"
    assert "warning: what bbbb needs was not checked" in retired.text


def test_a_schema_that_is_not_known_forbids_nothing(world: World) -> None:
    world.released("aaaa", schema_head=None)
    world.released("bbbb", schema_head="0002", schema_compatible=["0001", "0002"])
    world.rolled_back()
    assert serving(world) == "aaaa"
    assert "warning: which schema aaaa needs is not known" in world.text


def test_a_revision_that_is_being_deleted_comes_back_as_a_copy(three: World) -> None:
    describe = three.ecs.describe_task_definition

    def deleting(*, taskDefinition: str) -> Any:
        answer = describe(taskDefinition=taskDefinition)
        if taskDefinition.endswith("settlement-test:2"):
            answer["taskDefinition"]["status"] = "DELETE_IN_PROGRESS"
        return answer

    three.ecs.describe_task_definition = deleting  # type: ignore[method-assign, assignment]
    assert three.rolled_back().revision.endswith("settlement-test:4")


# -- names -------------------------------------------------------------------------------------------------------------


def suffixes(world: World, version: str) -> list[str]:
    """Return the beginnings of the digests of a version's definitions, in the order of its releases."""
    releases = world.releases
    return [item.name.rpartition("+")[2] for item in releases if item.version == version]


def memory(world: World) -> str:
    return str(world.ecs.definitions[world.ecs.primary["taskDefinition"]]["memory"])


@pytest.fixture
def configured(world: World) -> World:
    """One commit with two configurations, and another one."""
    world.released("aaaa", memory=512)
    world.released("aaaa", memory=1024)
    world.released("bbbb", memory=2048)
    return world


def test_releases_of_one_commit_are_told_apart_by_their_definitions(configured: World) -> None:
    small, large = suffixes(configured, "aaaa")
    assert small != large
    configured.rolled_back(f"aaaa+{small}")
    assert (serving(configured), memory(configured)) == ("aaaa", "512")
    assert any(f"-> aaaa+{small} (settlement-test:1)" in line for line in configured.said)
    assert not configured.rolled_back("aaaa").needed, "that one serves"
    configured.rolled_back(f"aaaa+{large}")
    assert memory(configured) == "1024"
    assert not configured.rolled_back(f"aaaa+{large}").needed


def test_the_beginning_of_several_definitions_is_refused(configured: World) -> None:
    small, large, other = configured.releases
    alike = [replace(small, definition_digest="3f2a00"), replace(large, definition_digest="3f2b00"), other]
    primary = configured.snapshot.primary
    with pytest.raises(Refusal) as refusal:
        choose(alike, primary, "aaaa+3f2")
    assert str(refusal.value) == (
        "aaaa+3f2 is the beginning of several: aaaa+3f2b (settlement-test:2), aaaa+3f2a (settlement-test:1)."
    )
    assert choose(alike, primary, "aaaa+3f2a").revision == small.revision


def test_a_hash_alone_is_its_newest_success_and_says_what_else_it_could_be(configured: World) -> None:
    small, _ = suffixes(configured, "aaaa")
    configured.rolled_back("aaaa")
    assert memory(configured) == "1024"
    assert (
        f"aaaa ran with other definitions too; rollback_to takes these names: aaaa+{small} (settlement-test:1)"
        in configured.said
    )
    configured.said.clear()
    configured.rolled_back("bbbb")
    assert "other definitions" not in configured.text


def test_a_definition_that_never_ran_is_refused_with_the_names_that_do(configured: World) -> None:
    _, large = suffixes(configured, "aaaa")
    with pytest.raises(ReleaseError, match=r"The ledger knows no release aaaa\+nope\.") as refusal:
        configured.rollback().plan("aaaa+nope")
    assert f"Next: make rollback ENV=test ARGS='-e rollback_to=aaaa+{large}'" in str(refusal.value)


def test_the_same_definition_registered_twice_has_one_name(world: World) -> None:
    world.released("aaaa")
    world.released("bbbb")
    world.released("aaaa")
    assert len(set(suffixes(world, "aaaa"))) == 1
    world.released("cccc")
    (name,) = set(suffixes(world, "aaaa"))
    world.rolled_back(f"aaaa+{name}")
    assert serving(world) == "aaaa"


def test_releases_of_before_definitions_had_names_are_known_by_their_revisions(configured: World) -> None:
    small, large = suffixes(configured, "aaaa")
    forget_names(configured)
    assert suffixes(configured, "aaaa") == ["aaaa", "aaaa"]
    configured.rolled_back("settlement-test:1")
    assert memory(configured) == "512"
    assert not configured.rolled_back("aaaa").needed
    configured.rolled_back("2")
    assert suffixes(configured, "aaaa")[2:] == [small, large], "a rollback records it"


def test_a_definition_keeps_its_recorded_name(three: World) -> None:
    rewrite(three, lambda event: event.update(definition_digest="3f2a00"))
    assert three.rolled_back().name == "bbbb+3f2a"


def forget_names(world: World) -> None:
    """Rewrite the events as they were before they recorded their definition."""
    rewrite(world, lambda event: event.pop("definition_digest"))


def rewrite(world: World, change: Callable[[dict[str, Any]], object]) -> None:
    """Change all events of the ledger."""
    for item in world.s3.list_objects_v2(Bucket="state-bucket")["Contents"]:
        event = json.loads(world.s3.get_object(Bucket="state-bucket", Key=item["Key"])["Body"].read())
        change(event)
        world.s3.put_object(Bucket="state-bucket", Key=item["Key"], Body=json.dumps(event).encode())


# -- a ledger that cannot be read in full ------------------------------------------------------------------------------


def spoil(world: World, version: str, *outcomes: str) -> list[str]:
    """Overwrite a version's events with garbage. Return their keys."""
    keys = [item["Key"] for item in world.s3.list_objects_v2(Bucket="state-bucket")["Contents"]]
    spoilt = [
        key
        for key in keys
        if f"-{version}/" in key and (not outcomes or key.endswith(tuple(f"{o}.json" for o in outcomes)))
    ]
    for key in spoilt:
        world.s3.put_object(Bucket="state-bucket", Key=key, Body=b"\xff")
    return spoilt


def test_an_event_that_cannot_be_read_is_named_and_its_key_counts(three: World) -> None:
    (key,) = spoil(three, "cccc", "succeeded")
    assert three.rolled_back().version == "bbbb"
    assert f"warning: s3://state-bucket/{key} is not a ledger event" in three.text
    three.released("dddd")
    assert serving(three) == "dddd"


def test_a_release_that_cannot_be_read_at_all_gives_way_to_the_last_success_that_is_known(three: World) -> None:
    spoil(three, "cccc")
    assert three.rolled_back().version == "bbbb"


def test_nothing_is_released_over_what_the_ledger_may_have_lost(three: World) -> None:
    keys = spoil(three, "cccc")
    releaser = three.releaser("dddd")
    releaser.settle()
    with pytest.raises(ReleaseError, match="the ledger does not know settlement-test:3, which runs") as refusal:
        releaser.plan()
    assert f"s3://state-bucket/{keys[0]} cannot be read" in str(refusal.value)
    for key in keys:
        three.s3.delete_object(Bucket="state-bucket", Key=key)
    assert three.releaser("dddd").plan().needed, "the way that the refusal names"


def test_what_the_ledger_lost_of_an_earlier_service_is_in_nobodys_way(world: World) -> None:
    for key in ("notes.txt", f"{release_id('old', datetime(2025, 12, 1, tzinfo=UTC))}/succeeded.json"):
        world.s3.put_object(Bucket="state-bucket", Key=f"ledger/test/{key}", Body=b"?")
    world.released("aaaa")
    assert serving(world) == "aaaa"


def test_an_old_release_that_cannot_be_read_is_in_nobodys_way(three: World) -> None:
    spoil(three, "aaaa")
    three.released("dddd")
    assert serving(three) == "dddd"


# -- afterwards -------------------------------------------------------------------------------------------------------


def test_a_routine_run_does_not_bring_it_back_and_says_how_to_insist(three: World) -> None:
    three.rolled_back()
    with pytest.raises(ReleaseError, match=r"cccc.* was rolled back to bbbb\S+ by ann@laptop") as refusal:
        three.releaser("cccc").plan()
    assert "ARGS='-e ecs_release_allow_rolled_back=true'" in plain(refusal.value)
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


def test_an_old_revision_that_was_rolled_back_does_not_bind_a_version_that_served_since(world: World) -> None:
    """The setting was rolled back, not the version: after another release the version is released again."""
    world.released("main")
    world.released("main", memory=1024)
    assert world.rolled_back().version == "main"
    world.released("branch")
    world.released("main")
    assert serving(world) == "main"
    with pytest.raises(ReleaseError, match="is not released again"):
        world.releaser("main", memory=1024).plan()


@pytest.mark.parametrize("old", [False, True])
def test_what_was_rolled_back_and_succeeded_since_is_released_again(three: World, old: bool) -> None:
    three.rolled_back()
    three.released("cccc", allow_rolled_back=True)
    three.released("dddd")
    if old:
        forget_names(three)
    three.released("cccc")
    assert serving(three) == "cccc"


def test_what_was_rolled_back_is_bound_however_many_went_since(three: World) -> None:
    three.rolled_back()
    three.released("dddd")
    three.released("eeee")
    for memory in (512, 1024):
        with pytest.raises(ReleaseError, match="is not released again"):
            three.releaser("cccc", memory=memory).plan()


def test_a_rollback_past_an_older_setting_of_an_image_binds_the_image(world: World) -> None:
    world.released("aaaa")
    world.released("bbbb", memory=512)
    world.released("bbbb", memory=1024)
    world.rolled_back()
    world.rolled_back()
    assert serving(world) == "aaaa"
    for memory in (512, 1024, 2048):
        with pytest.raises(ReleaseError, match="is not released again"):
            world.releaser("bbbb", memory=memory).plan()


def test_an_insisted_release_that_was_interrupted_is_taken_up_without_insisting_again(three: World) -> None:
    three.rolled_back()
    releaser = three.releaser("cccc", allow_rolled_back=True)
    plan, _ = releaser.register(releaser.plan())
    releaser.begin(plan)
    releaser.service.update(str(plan.revision))
    three.ecs.complete()
    assert three.releaser("cccc").plan().resumes


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


def test_a_rollback_never_goes_to_a_database_that_was_turned_off(three: World) -> None:
    without_database(three)
    with pytest.raises(
        ReleaseError, match="for the database settlement-test, and this environment has none"
    ) as refusal:
        three.rolled_back("aaaa")
    assert "make release ENV=test ARGS='-e image_build_version=aaaa'" in str(refusal.value)
    assert serving(three) == "cccc"


def test_without_a_database_a_rollback_is_any_other(world: World) -> None:
    without_database(world)
    world.released("aaaa", schema_head=None)
    world.released("bbbb", schema_head=None)
    world.rolled_back()
    assert serving(world) == "aaaa"
    assert "schema" not in world.text


def test_a_rollback_never_goes_to_another_database(three: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OUTPUTS["database"], "instance_identifier", "settlement-test-20261124-101500")
    with pytest.raises(ReleaseError) as refusal:
        three.rollback().plan()
    for said in (
        "bbbb (settlement-test:2) was released for the database settlement-test, and settlement-test-20261124-101500",
        "make release ENV=test ARGS='-e image_build_version=bbbb'",
        "make restore ENV=test",
        "There is nothing to go back to",
    ):
        assert said in plain(refusal.value)
    assert serving(three) == "cccc"

    three.released("dddd")
    three.released("eeee")
    three.rolled_back()
    assert serving(three) == "dddd"


@pytest.mark.parametrize("flow", ["update", "rollback", "rotate"])
def test_what_is_verified_is_the_very_revision_that_was_brought(flow: str) -> None:
    """Two revisions may have the same image: without the revision, an outdated answer would decide."""
    tasks = yaml.safe_load((ROLE / f"tasks/{flow}.yml").read_text())[0]["block"]
    (verify,) = [task for task in tasks if task.get("ansible.builtin.import_role") == {"name": "service_verify"}]
    assert ".plan.revision" in verify["vars"]["service_verify_revision"]

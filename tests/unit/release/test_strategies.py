"""Releases by canary, linear and blue/green against a small ECS: what is sent, checked and undone at each stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from fargate_ops.core.outcome import Kind
from fargate_ops.core.problem import ProblemError
from fargate_ops.release.abort import Abort
from fargate_ops.release.context import ReleaseError
from fargate_ops.release.plan import Plan
from fargate_ops.release.promote import Promote
from fargate_ops.release.release import Releaser
from fargate_ops.release.rotation import Rotation
from fargate_ops.release.strategy import ROLLING, Name, SmokeCheck, Strategy
from fargate_ops.release.verify import Subject, Verdict, Verification
from fargate_ops.state.ledger import Outcome
from fargate_ops.state.lock import Lock
from tests.unit.release.conftest import (
    ALTERNATE,
    GROUP,
    STACK,
    WITH_STRATEGIES,
    FakeEcs,
    World,
    client_error,
    failed,
    plain,
)

if TYPE_CHECKING:
    from tests.unit.release.conftest import Step

CANARY = Strategy(
    name=Name.CANARY, canary_percent=10, canary_minutes=5, bake_minutes=3, pause_minutes=60, test_header=("X-Test", "1")
)
LINEAR = replace(CANARY, name=Name.LINEAR, step_percent=40, step_minutes=2)
BLUE_GREEN = replace(CANARY, name=Name.BLUE_GREEN)
WRONG = Verification(verdict=Verdict.WRONG, reason="HTTP 500")
UNSEEN = Verification(verdict=Verdict.UNVERIFIED, reason="no answer")


def outcomes(world: World) -> list[tuple[str, Outcome]]:
    return [(release.version, release.outcome) for release in world.releases]


def nothing(_: FakeEcs) -> None:
    """Change nothing."""


def stage(name: str, percent: int | None = None) -> Step:
    """Return a step: the deployment is at a stage, and the new tasks' target group gets so many percent."""

    def step(ecs: FakeEcs) -> None:
        ecs.service_deployments[-1]["lifecycleStage"] = name
        if percent is not None:
            ecs.weights = {group: percent if group == ecs.green else 100 - percent for group in ecs.weights}

    return step


def paused(ecs: FakeEcs) -> None:
    stage("POST_TEST_TRAFFIC_SHIFT")(ecs)
    hook = {"hookId": "hook-1", "targetType": "PAUSE", "status": "AWAITING_ACTION"}
    ecs.service_deployments[-1]["lifecycleHookDetails"] = [hook]


#: What happens at each look, from the update of a canary on.
SHIFTED = [
    stage("SCALE_UP"),
    stage("TEST_TRAFFIC_SHIFT"),
    paused,
    stage("PRODUCTION_TRAFFIC_SHIFT", 10),
    stage("PRODUCTION_TRAFFIC_SHIFT", 100),
    stage("BAKE_TIME"),
    stage("CLEAN_UP"),
    FakeEcs.complete,
]


@pytest.fixture
def world() -> World:
    """An environment with a successful release, whose next ones are canaries; the second target group is attached."""
    world = World(stack=WITH_STRATEGIES)
    world.released("aaa")
    world.strategy = CANARY
    attach(world)
    world.ecs.updates.clear()
    return world


def attach(world: World) -> None:
    world.releaser().service.attach()
    world.ecs.complete()


def planned(releaser: Releaser) -> Plan:
    releaser.settle()
    plan, _ = releaser.register(releaser.plan())
    return plan


def updating(releaser: Releaser, steps: list[Any]) -> Plan:
    """Run a release up to the end of its update. The steps follow each other from the update on."""
    plan = planned(releaser)
    releaser.begin(plan)
    releaser.prepare(plan)
    ecs = releaser.ecs
    update = ecs.update_service

    def then_steps(**request: Any) -> Any:
        if request.get("taskDefinition") == plan.revision:
            ecs.rollout = steps
        return update(**request)

    ecs.update_service = then_steps
    try:
        if plan.resumes:
            ecs.rollout = steps
        releaser.update(plan)
    finally:
        ecs.update_service = update
    return plan


def failing(world: World, steps: list[Any], version: str = "bad", **context: Any) -> tuple[ReleaseError, Any]:
    """Run a release that fails, and record it as the role does. Return its error and how it ended."""
    releaser = world.releaser(version, **context)
    with pytest.raises(ReleaseError) as failure:
        updating(releaser, steps)
    plan = releaser.plan() if not world.releases else None
    assert plan is None
    return failure.value, failure.value.outcome("test")


# -- what is sent -----------------------------------------------------------------------------------------------------


def test_a_rolling_release_sends_the_settings_that_terraform_made(world: World) -> None:
    world.strategy = Strategy()
    world.released("bbb")
    (update,) = world.ecs.updates
    assert update["deploymentConfiguration"] == {
        "strategy": "ROLLING",
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "minimumHealthyPercent": 100,
        "maximumPercent": 200,
        "alarms": {"alarmNames": ["test-errors-5xx"], "enable": True, "rollback": True},
        "lifecycleHooks": [],
    }
    assert "loadBalancers" not in update


def test_without_alarms_none_is_watched() -> None:
    stack = replace(WITH_STRATEGIES, values={**WITH_STRATEGIES.values, "deployment_alarm_names": []})
    alarms = Strategy().deployment_configuration(stack)["alarms"]
    assert alarms == {"alarmNames": [], "enable": False, "rollback": False}


@pytest.mark.parametrize(
    ("strategy", "own"),
    [
        (CANARY, {"canaryConfiguration": {"canaryPercent": 10, "canaryBakeTimeInMinutes": 5}}),
        (LINEAR, {"linearConfiguration": {"stepPercent": 40, "stepBakeTimeInMinutes": 2}}),
        (BLUE_GREEN, {}),
    ],
)
def test_another_strategy_sends_its_shift_its_gates_and_a_pause_for_the_checks(
    strategy: Strategy, own: dict[str, Any]
) -> None:
    sent = strategy.deployment_configuration(WITH_STRATEGIES)
    assert {name: sent[name] for name in sent if name.endswith("Configuration")} == own
    assert (sent["strategy"], sent["bakeTimeInMinutes"]) == (strategy.name.upper(), 3)
    assert sent["alarms"]["alarmNames"] == [
        "test-errors-5xx",
        "test-gate-a-5xx",
        "test-gate-a-p99",
        "test-gate-b-5xx",
        "test-gate-b-p99",
    ]
    (hook,) = sent["lifecycleHooks"]
    assert (hook["targetType"], hook["lifecycleStages"]) == ("PAUSE", ["POST_TEST_TRAFFIC_SHIFT"])
    assert hook["timeoutConfiguration"] == {"timeoutInMinutes": 60, "action": "ROLLBACK"}


def test_a_stack_from_before_there_were_strategies_is_sent_nothing_new(world: World) -> None:
    world.stack, world.strategy = STACK, Strategy()
    world.released("bbb")
    assert "deploymentConfiguration" not in world.ecs.updates[-1]


def test_a_stack_from_before_there_were_strategies_refuses_another_one(world: World) -> None:
    world.stack = STACK
    with pytest.raises(ProblemError, match="needs infrastructure that test does not have yet: alternate_target") as no:
        updating(world.releaser("bbb"), [])
    assert no.value.problem.next_step == "make deploy ENV=test"
    assert world.ecs.updates == []


def test_a_gate_that_is_on_already_refuses_a_release(world: World) -> None:
    world.gates.on = {"test-gate-b-p99", "other"}
    with pytest.raises(ProblemError, match=r"on already: test-gate-b-p99\. Nothing was changed") as no:
        updating(world.releaser("bbb"), [])
    assert "make release ENV=test STRATEGY=rolling" in no.value.problem.next_step
    assert world.ecs.updates == []
    world.strategy = ROLLING
    assert world.releaser("bbb").plan().needed


def test_a_rule_that_authenticates_refuses_a_release(world: World) -> None:
    rule = {"Priority": "7", "Actions": [{"Type": "authenticate-oidc"}, {"Type": "forward"}]}
    world.load_balancer.rules = [{"Priority": "default", "Actions": [{"Type": "redirect"}]}, rule]
    with pytest.raises(ProblemError, match=r"that authenticates: priority 7\. A release by canary"):
        updating(world.releaser("bbb"), [])
    assert world.ecs.updates == []


def test_the_first_release_is_rolling() -> None:
    world = World(stack=WITH_STRATEGIES, strategy=CANARY)
    world.released("aaa")
    assert [item["deploymentConfiguration"]["strategy"] for item in world.ecs.updates] == ["ROLLING"]


def test_a_rollback_is_rolling(world: World) -> None:
    updating(world.releaser("bbb"), SHIFTED)
    releaser = world.releaser("bbb")
    world.ecs.rollout = []
    releaser.settle()
    world.rolled_back()
    assert world.ecs.updates[-1]["deploymentConfiguration"]["strategy"] == "ROLLING"


# -- attaching --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bare() -> World:
    """An environment whose service has one target group."""
    world = World(stack=WITH_STRATEGIES)
    world.released("aaa")
    world.strategy = CANARY
    world.ecs.updates.clear()
    return world


def test_the_first_canary_attaches_the_second_group_by_a_rolling_deployment_of_what_runs(bare: World) -> None:
    running = bare.ecs.primary["taskDefinition"]
    bare.ecs.rollout = [nothing] * 4 + [FakeEcs.complete]
    updating(bare.releaser("bbb"), SHIFTED)
    attaching, canary = bare.ecs.updates[:2]
    assert attaching["taskDefinition"] == running
    assert attaching["deploymentConfiguration"]["strategy"] == "ROLLING"
    (balancer,) = attaching["loadBalancers"]
    assert balancer["targetGroupArn"] == GROUP
    assert balancer["advancedConfiguration"] == {
        "alternateTargetGroupArn": ALTERNATE,
        "productionListenerRule": "arn:rule/production",
        "testListenerRule": "arn:rule/test",
        "roleArn": "arn:aws:iam::000000000000:role/load-balancer",
    }
    assert canary["deploymentConfiguration"]["strategy"] == "CANARY"
    assert bare.text.index("once, attach the second target group") < bare.text.index("10 % of the requests")


def test_what_is_attached_is_not_attached_again(world: World) -> None:
    updating(world.releaser("bbb"), SHIFTED)
    assert [update for update in world.ecs.updates if "loadBalancers" in update] == []


def test_a_run_that_died_while_it_attached_is_continued(bare: World) -> None:
    bare.releaser("bbb").service.attach()
    bare.ecs.rollout = [nothing, FakeEcs.complete]
    updating(bare.releaser("bbb"), SHIFTED)
    assert [update for update in bare.ecs.updates if "loadBalancers" in update] == bare.ecs.updates[:1]
    assert [item["deploymentConfiguration"]["strategy"] for item in bare.ecs.updates][:2] == ["ROLLING", "CANARY"]


def test_a_failure_to_attach_leaves_what_runs(bare: World) -> None:
    running = bare.ecs.primary["taskDefinition"]
    bare.ecs.rollout = [nothing] * 4 + [lambda ecs: ecs.roll_back(), FakeEcs.complete]
    error, _ = failing(bare, [])
    assert "to attach the second target group, failed: circuit breaker triggered" in plain(error)
    assert (len(bare.ecs.updates), bare.ecs.primary["taskDefinition"]) == (1, running)


def test_a_preview_says_what_it_would_attach_and_shift(bare: World) -> None:
    releaser = bare.releaser("bbb")
    assert releaser.update(planned(releaser), preview=True)
    assert "would first attach the second target group" in bare.text
    assert "by canary (10 %, 100 %) and watch that deployment to its end" in bare.text
    assert bare.ecs.updates == []


# -- stages -----------------------------------------------------------------------------------------------------------


def test_test_traffic_is_checked_before_any_user_and_then_each_share(world: World) -> None:
    releaser = world.releaser("bbb")
    plan = updating(releaser, SHIFTED)
    releaser.succeed(plan)
    assert world.checks.made == ["test", "10 %", "100 %"]
    assert world.ecs.continued == ["hook-1"]
    assert outcomes(world)[-1] == ("bbb", Outcome.SUCCEEDED)
    name = "settlement-test:2"
    said = [line.partition("s  ")[2].partition(" · ")[0] for line in world.said if " · new " in line]
    assert said == [
        "the new tasks start for canary",
        f"only test requests get {name}",
        f"paused: only test requests get {name}",
        f"10 % of the requests go to {name}, bake 1 of 5 min",
        f"100 % of the requests go to {name}, bake 1 of 3 min",
        f"all requests go to {name}, and the old tasks stop",
        f"all requests go to {name}, and the old tasks stop",
    ]


def test_afterwards_any_other_deployment_is_rolling(world: World) -> None:
    updating(world.releaser("bbb"), SHIFTED)
    assert world.ecs.strategy == "ROLLING"
    assert set(world.ecs.updates[-1]) == {"cluster", "service", "deploymentConfiguration"}


def test_each_step_of_a_linear_release_is_checked(world: World) -> None:
    world.strategy = LINEAR
    shift = [stage("PRODUCTION_TRAFFIC_SHIFT", percent) for percent in (40, 80, 100)]
    updating(world.releaser("bbb"), [paused, *shift, FakeEcs.complete])
    assert world.checks.made == ["test", "40 %", "80 %", "100 %"]
    assert "80 % of the requests go to settlement-test:2, bake 1 of 2 min" in world.text


def test_completed_is_no_success_before_ecs_says_so(world: World) -> None:
    def completed_but_not_over(ecs: FakeEcs) -> None:
        FakeEcs.complete(ecs)
        ecs.service_deployments[-1]["status"] = "IN_PROGRESS"

    error, _ = failing(
        world,
        [
            *SHIFTED[:-1],
            completed_but_not_over,
            lambda ecs: ecs.service_deployments[-1].update(status="ROLLBACK_IN_PROGRESS", statusReason="an alarm"),
        ],
    )
    assert "an alarm" in plain(error)


def test_wrong_test_traffic_undoes_it_before_any_user(world: World) -> None:
    before = world.ecs.primary["taskDefinition"]
    world.checks.results["test"] = WRONG
    error, end = failing(world, SHIFTED)
    assert "before any user got settlement-test:2: HTTP 500" in plain(error)
    assert end.cause == "before any user got settlement-test:2: HTTP 500"
    assert len(world.ecs.stopped_deployments) == 1
    assert (world.ecs.continued, world.ecs.weights) == ([], {GROUP: 100, ALTERNATE: 0})
    assert (world.ecs.primary["taskDefinition"], world.ecs.strategy) == (before, "ROLLING")


def test_a_wrong_share_undoes_it(world: World) -> None:
    world.checks.results["10 %"] = WRONG
    error, _ = failing(world, SHIFTED)
    assert "at 10 % of the requests: HTTP 500" in plain(error)
    assert len(world.ecs.stopped_deployments) == 1
    assert world.ecs.weights == {GROUP: 100, ALTERNATE: 0}


def test_what_this_machine_cannot_see_undoes_nothing(world: World) -> None:
    world.checks.results = {"test": UNSEEN, "10 %": UNSEEN, "100 %": UNSEEN}
    updating(world.releaser("bbb"), SHIFTED)
    assert world.ecs.stopped_deployments == []
    assert world.text.count("not verified: no answer") == 3


def test_a_gate_is_named_as_the_cause(world: World) -> None:
    world.logs.streams["api/api/"] = ["ERROR something else"]
    releaser = world.releaser("bad")
    fire = [*SHIFTED[:4], lambda ecs: ecs.go_back("a CloudWatch alarm was detected", "test-gate-b-5xx")]
    plan = planned(releaser)
    releaser.begin(plan)
    world.ecs.rollout = [nothing, *fire]
    with pytest.raises(ReleaseError) as failure:
        releaser.update(plan)
    end = releaser.end(plan, replace(failed("x"), outcome=failure.value.outcome("test"), reason=failure.value.reason))
    assert end.cause == "a CloudWatch alarm was detected: test-gate-b-5xx in ALARM"
    assert end.kind is Kind.FAILED_AND_UNDONE
    assert outcomes(world)[-1] == ("bad", Outcome.FAILED)
    assert world.ecs.stopped_deployments == []


def test_tasks_that_never_become_healthy_are_stopped_by_the_wait(world: World) -> None:
    error, _ = failing(world, [stage("SCALE_UP")], wait=-1)
    assert "its tasks were not healthy within -1 s" in plain(error)
    assert len(world.ecs.stopped_deployments) == 1
    assert world.ecs.weights == {GROUP: 100, ALTERNATE: 0}


def test_a_bake_is_not_limited_by_the_wait_for_the_tasks(world: World) -> None:
    updating(world.releaser("bbb", wait=0), [paused, *SHIFTED[3:]])
    assert world.ecs.stopped_deployments == []


def test_a_deployment_that_ecs_does_not_list_yet_is_followed(world: World) -> None:
    record: list[Any] = []

    def hidden(ecs: FakeEcs) -> None:
        record.append(ecs.service_deployments.pop())

    def shown(ecs: FakeEcs) -> None:
        ecs.service_deployments.append(record.pop())

    updating(world.releaser("bbb"), [hidden, nothing, shown, *SHIFTED])
    assert world.checks.made == ["test", "10 %", "100 %"]


# -- the pause --------------------------------------------------------------------------------------------------------


def test_a_pause_waits_for_a_person(world: World) -> None:
    world.strategy = replace(BLUE_GREEN, pause=True)
    promoted: Callable[[FakeEcs], Any] = lambda ecs: ecs.continue_service_deployment(  # noqa: E731
        serviceDeploymentArn=ecs.service_deployments[-1]["serviceDeploymentArn"], hookId="hook-1", action="CONTINUE"
    )
    updating(world.releaser("bbb"), [paused, nothing, nothing, promoted, *SHIFTED[4:]])
    assert world.text.count("no user gets settlement-test:2 before make promote ENV=test; make abort ENV=test") == 1
    assert world.checks.made == ["test", "100 %"]


def test_a_pause_that_somebody_continued_meanwhile_is_no_failure(world: World) -> None:
    world.ecs.refuse["ContinueServiceDeployment"] = client_error("ContinueServiceDeployment", "not waiting")

    def continued(subject: Subject) -> Verification:
        world.ecs.service_deployments[-1]["lifecycleHookDetails"] = []
        return Verification(verdict=Verdict.VERIFIED, reason="right")

    world.checks.test_traffic = continued  # type: ignore[method-assign]
    updating(world.releaser("bbb"), SHIFTED)
    assert world.checks.made == ["10 %", "100 %"]


# -- interruptions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stages", range(1, len(SHIFTED)))
def test_a_run_that_died_at_any_stage_is_continued(world: World, stages: int) -> None:
    died = world.releaser("bbb")
    plan = planned(died)
    died.begin(plan)
    died.service.update(str(plan.revision), strategy=CANARY)
    for step in SHIFTED[:stages]:
        step(world.ecs)
    releaser = world.releaser("bbb")
    again = updating(releaser, SHIFTED[stages:])
    assert again.resumes
    releaser.succeed(again)
    assert outcomes(world)[-1] == ("bbb", Outcome.SUCCEEDED)
    assert len(world.releases) == 2
    assert [update for update in world.ecs.updates if "taskDefinition" in update] == world.ecs.updates[:1]
    assert (world.ecs.strategy, world.ecs.stopped_deployments) == ("ROLLING", [])


def test_what_a_gate_undid_while_nobody_watched_is_recorded_and_released_anew(world: World) -> None:
    died = world.releaser("bbb")
    plan = planned(died)
    died.begin(plan)
    died.service.update(str(plan.revision), strategy=CANARY)
    world.ecs.go_back("a CloudWatch alarm was detected", "test-gate-b-p99")
    world.releaser("bbb").settle()
    world.ecs.service_deployments[-1]["createdAt"] -= timedelta(minutes=1)
    updating(world.releaser("bbb"), SHIFTED)
    first = world.releases[1]
    assert (first.outcome, first.why) == (Outcome.FAILED, "a CloudWatch alarm was detected: test-gate-b-p99 in ALARM")


def test_a_failure_of_this_machine_in_a_bake_undoes_it(world: World) -> None:
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    releaser.service.update(str(plan.revision), strategy=CANARY)
    stage("PRODUCTION_TRAFFIC_SHIFT", 10)(world.ecs)
    end = releaser.end(plan, failed("the disk is full"))
    assert len(world.ecs.stopped_deployments) == 1
    assert end.kind is Kind.FAILED_AND_UNDONE
    assert world.ecs.weights == {GROUP: 100, ALTERNATE: 0}
    assert world.ecs.strategy == "ROLLING"


def test_the_arguments_of_the_role_make_a_strategy() -> None:
    arguments = {
        "name": "canary",
        "canary_percent": 10.0,
        "canary_minutes": 5,
        "step_percent": 20.0,
        "step_minutes": 5,
        "bake_minutes": 3,
        "pause": False,
        "pause_minutes": 60,
        "test_header": {"name": "X-Test", "value": 1},
        "smoke_checks": [{"path": "/ready"}, {"path": "/about", "status": 404, "json": {"a": 1}}],
        "minute_seconds": 5.0,
    }
    strategy = Strategy.from_arguments(arguments)
    assert (strategy.name, strategy.test_header, strategy.seconds) == (Name.CANARY, ("X-Test", "1"), 40)
    assert strategy.smoke_checks == (SmokeCheck("/ready"), SmokeCheck("/about", 404, {"a": 1}))


@pytest.mark.parametrize(
    ("strategy", "shares", "minutes"),
    [
        (Strategy(), [], 0),
        (BLUE_GREEN, [100], 3),
        (CANARY, [10, 100], 8),
        (replace(CANARY, canary_percent=100), [100], 8),
        (LINEAR, [40, 80, 100], 7),
        (replace(LINEAR, step_percent=33.3), [33.3, 66.6, 99.9, 100], 9),
        (replace(LINEAR, step_percent=50), [50, 100], 5),
    ],
)
def test_the_wait_grows_by_the_strategy_s_minutes(strategy: Strategy, shares: list[float], minutes: int) -> None:
    assert (list(dict(strategy.steps)), strategy.minutes_left()) == (shares, minutes)


# -- somebody else's release in flight --------------------------------------------------------------------------------


def begun(world: World, version: str = "bbb", at: Step = SHIFTED[3]) -> Plan:
    """Begin a canary whose run died, and bring it to a stage."""
    releaser = world.releaser(version)
    plan = planned(releaser)
    releaser.begin(plan)
    releaser.service.update(str(plan.revision), strategy=CANARY)
    at(world.ecs)
    return plan


def test_another_release_is_refused_while_one_bakes(world: World) -> None:
    begun(world)
    with pytest.raises(ReleaseError) as refusal:
        world.releaser("ccc").settle()
    said = plain(refusal.value)
    assert said.startswith("test: the release bbb of ann@laptop since 20")
    assert "is not over: 10 % of the requests go to settlement-test:2, bake of 5 min; it ends by " in said
    assert said.endswith(
        "Nothing was changed.\nNext: make abort ENV=test, which undoes it; or wait, then make deploy ENV=test"
    )
    assert refusal.value.outcome("test").kind is Kind.REFUSED
    assert len(world.ecs.updates) == 1


def test_the_refusal_names_the_command_that_continues_a_pause(world: World) -> None:
    begun(world, at=paused)
    with pytest.raises(ReleaseError, match=r"Next: make promote ENV=test, which continues it; or make abort ENV=test"):
        world.releaser("ccc").settle()


def test_a_release_waits_for_one_that_ecs_undoes(world: World) -> None:
    begun(world)
    world.ecs.service_deployments[-1]["status"] = "ROLLBACK_IN_PROGRESS"
    world.ecs.rollout = [nothing, nothing, lambda ecs: ecs.go_back("an alarm")]
    world.releaser("bbb").settle()
    assert world.releases[-1].outcome is Outcome.FAILED


def test_a_rotation_is_refused_while_a_release_bakes(world: World) -> None:
    begun(world)
    with pytest.raises(ReleaseError, match="is not over: 10 % of the requests"):
        Rotation(world.context()).plan(0)


# -- abort and rollback -----------------------------------------------------------------------------------------------


def abort(world: World, **context: Any) -> tuple[bool, Any]:
    return Abort(world.context(**context)).run()


@pytest.mark.parametrize("at", [SHIFTED[0], paused, SHIFTED[3], SHIFTED[5]])
def test_an_abort_gives_all_requests_back(world: World, at: Step) -> None:
    before = world.ecs.primary["taskDefinition"]
    begun(world, at=at)
    changed, end = abort(world)
    assert changed
    assert len(world.ecs.stopped_deployments) == 1
    assert world.ecs.weights == {GROUP: 100, ALTERNATE: 0}
    assert (world.ecs.primary["taskDefinition"], world.ecs.strategy) == (before, "ROLLING")
    assert (world.releases[-1].outcome, world.releases[-1].why) == (Outcome.STOPPED, "stopped by ann@laptop: test")
    assert (plain(end.what), plain(end.serves)) == ("bbb was stopped", "settlement-test:1 (aaa), 2 tasks")
    assert world.notified[-1].startswith("test: release of bbb was stopped")
    assert [item for item in world.ecs.updates if "taskDefinition" in item] == world.ecs.updates[:1]


def test_an_abort_stops_a_rolling_release_too(world: World) -> None:
    releaser = world.releaser("bbb")
    plan = planned(releaser)
    releaser.begin(plan)
    releaser.service.update(str(plan.revision))
    changed, _ = abort(world)
    assert changed
    assert (len(world.ecs.stopped_deployments), world.releases[-1].outcome) == (1, Outcome.STOPPED)


def test_an_abort_without_a_release_changes_nothing(world: World) -> None:
    changed, end = abort(world)
    assert (changed, end.what, world.ecs.updates) == (False, "nothing was in flight", [])


def test_an_abort_finds_a_release_that_ecs_does_not_show_yet(world: World) -> None:
    begun(world)
    world.ecs.stale_looks = 2
    assert abort(world)[0]
    assert world.ecs.weights == {GROUP: 100, ALTERNATE: 0}


def test_an_abort_of_a_first_release_leaves_zero_tasks() -> None:
    world = World(stack=WITH_STRATEGIES)
    releaser = world.releaser("aaa")
    plan = planned(releaser)
    releaser.begin(plan)
    releaser.service.update(str(plan.revision), desired_count=2)
    _, end = abort(world)
    assert world.ecs.service["desiredCount"] == 0
    assert "there is nothing to return to" in end.what


def test_an_abort_that_is_not_over_in_time_is_a_failure(world: World) -> None:
    begun(world)
    world.ecs.stop_service_deployment = lambda **_: {}  # type: ignore[method-assign]
    with pytest.raises(ReleaseError, match=r"bbb.* was stopped, and is not undone yet: The rollback did not complete"):
        abort(world, rollback_wait=0)
    assert world.releases[-1].outcome is Outcome.STOPPED


def test_the_preview_of_an_abort_stops_nothing(world: World) -> None:
    begun(world)
    changed, end = Abort(world.context()).run(preview=True)
    assert (changed, end.what) == (True, "would stop the deployment of settlement-test:2")
    assert world.ecs.stopped_deployments == []


def etag_of(world: World) -> str | None:
    found = world.lock.read()
    return found.etag if found else None


def test_the_release_that_is_aborted_says_who_stopped_it(world: World) -> None:
    def stolen(ecs: FakeEcs) -> None:
        now = datetime.now(UTC)
        lock = Lock(holder="else", machine="m", pid=1, owner="bob", purpose="Abort", started=now, heartbeat=now)
        world.lock.swap(lock, etag_of(world))
        ecs.go_back("stopped by a user")

    now = datetime.now(UTC)
    world.lock.swap(
        Lock(holder="me", machine="m", pid=2, owner="ann", purpose="Release", started=now, heartbeat=now), None
    )
    error, end = failing(world, [*SHIFTED[:4], stolen], holder="me")
    assert "failed: stopped: " in plain(error)
    assert "bob" in end.cause
    assert world.ecs.stopped_deployments == []


def test_a_rollback_in_a_bake_gives_the_requests_back_and_goes_no_further(world: World) -> None:
    world.strategy = Strategy()
    world.released("bbb")
    world.strategy = CANARY
    before = world.ecs.primary["taskDefinition"]
    begun(world, "ccc")
    updates = [item for item in world.ecs.updates if "taskDefinition" in item]
    rollback = world.rollback()
    plan = rollback.plan()
    assert (plan.version, plan.needed) == ("bbb", False)
    assert not rollback.update(plan)
    rollback.succeed(plan)
    assert plain(rollback.done(plan).what) == "bbb serves; ccc was stopped"
    assert world.ecs.primary["taskDefinition"] == before
    assert [item for item in world.ecs.updates if "taskDefinition" in item] == updates
    assert outcomes(world)[-1] == ("ccc", Outcome.STOPPED)


def test_a_rollback_in_a_bake_to_an_older_version_goes_there(world: World) -> None:
    world.strategy = Strategy()
    world.released("bbb")
    world.strategy = CANARY
    begun(world, "ccc")
    assert world.rolled_back("settlement-test:1").needed
    assert world.ecs.updates[-1]["deploymentConfiguration"]["strategy"] == "ROLLING"
    assert outcomes(world)[-1] == ("aaa", Outcome.SUCCEEDED)


def test_an_impossible_rollback_in_a_bake_stops_nothing(world: World) -> None:
    begun(world)
    with pytest.raises(ReleaseError, match=r"The ledger knows no release eeee\. Nothing was changed\."):
        world.rollback().plan("eeee")
    assert world.ecs.stopped_deployments == []


def test_the_preview_of_a_rollback_in_a_bake_stops_nothing(world: World) -> None:
    begun(world)
    world.rollback().plan(preview=True)
    assert "would first stop the deployment of settlement-test:2" in world.text
    assert world.ecs.stopped_deployments == []


# -- promote ----------------------------------------------------------------------------------------------------------


def promote(world: World, **run: Any) -> tuple[bool, Any]:
    return Promote(world.context()).run(**run)


def test_promote_continues_a_pause_after_a_check(world: World) -> None:
    begun(world, at=paused)
    changed, end = promote(world)
    assert (changed, world.checks.made, world.ecs.continued) == (True, ["test"], ["hook-1"])
    assert plain(end.what) == "users get bbb"


def test_promote_refuses_what_test_requests_do_not_get(world: World) -> None:
    begun(world, at=paused)
    world.checks.results["test"] = WRONG
    with pytest.raises(ReleaseError, match=r"is not promoted: HTTP 500\. Nothing was changed\.\nNext: make abort"):
        promote(world)
    assert world.ecs.continued == []


def test_the_preview_of_promote_continues_nothing(world: World) -> None:
    begun(world, at=paused)
    assert promote(world, preview=True)[0]
    assert world.ecs.continued == []


def test_promote_says_when_a_bake_ends(world: World) -> None:
    begun(world)
    updated = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    world.ecs.service_deployments[-1]["updatedAt"] = updated
    changed, end = promote(world)
    ends = f"{(updated + timedelta(minutes=8)).astimezone():%H:%M:%S}"
    assert not changed
    assert plain(end.what) == (
        f"bbb does not wait: 10 % of the requests go to settlement-test:2, bake of 5 min; it ends by {ends}"
    )


def test_promote_without_a_release_changes_nothing(world: World) -> None:
    assert promote(world)[1].what == "nothing waits for make promote"


# -- without waiting --------------------------------------------------------------------------------------------------


def left(world: World, steps: list[Any], version: str = "bbb") -> Releaser:
    """Run a release that does not wait for its end, as the role does."""
    releaser = world.releaser(version, wait_for_end=False)
    plan = updating(releaser, steps)
    assert releaser.baking
    releaser.leave_baking(plan, releaser.baking)
    end = releaser.done(plan, baking=releaser.baking)
    assert plain(end.what) == f"{version} bakes: {releaser.baking}"
    return releaser


def test_a_release_that_is_not_waited_for_is_left_once_users_get_it(world: World) -> None:
    releaser = left(world, SHIFTED[:4])
    assert releaser.baking == "10 % of the requests go to settlement-test:2, bake 1 of 5 min"
    assert world.checks.made == ["test", "10 %"]
    assert outcomes(world)[-1] == ("bbb", Outcome.BAKING)
    assert (world.ecs.strategy, world.ecs.primary["rolloutState"]) == ("CANARY", "IN_PROGRESS")
    assert world.notified[-1] == "test: release of bbb bakes"


def test_a_pause_that_is_not_waited_for_is_left_once_it_is_checked(world: World) -> None:
    world.strategy = replace(CANARY, pause=True)
    left(world, SHIFTED[:3])
    assert (world.checks.made, world.ecs.continued) == (["test"], [])


def test_a_rolling_release_is_always_waited_for(world: World) -> None:
    world.strategy = Strategy()
    releaser = world.releaser("bbb", wait_for_end=False)
    updating(releaser, [nothing, FakeEcs.complete])
    assert releaser.baking == ""


@pytest.mark.parametrize("version", ["bbb", "ccc"])
def test_while_it_bakes_no_release_begins(world: World, version: str) -> None:
    left(world, SHIFTED[:4])
    updates = len(world.ecs.updates)
    with pytest.raises(ReleaseError, match=r"the release bbb\S+ of ann@laptop since .* is not over"):
        world.releaser(version).settle()
    assert len(world.ecs.updates) == updates
    assert outcomes(world)[-1] == ("bbb", Outcome.BAKING)


@pytest.mark.parametrize("version", ["bbb", "ccc"])
def test_the_next_command_settles_what_has_baked(world: World, version: str) -> None:
    left(world, SHIFTED[:4])
    FakeEcs.complete(world.ecs)
    releaser = world.releaser(version)
    plan = updating(releaser, [nothing, FakeEcs.complete] if version == "bbb" else SHIFTED)
    releaser.succeed(plan)
    assert outcomes(world)[1] == ("bbb", Outcome.SUCCEEDED)
    assert outcomes(world)[-1] == (version, Outcome.SUCCEEDED)
    assert world.ecs.strategy == "ROLLING"


def test_a_rotation_settles_what_a_gate_undid(world: World) -> None:
    left(world, SHIFTED[:4])
    world.ecs.go_back("an alarm", "test-gate-b-5xx")
    Rotation(world.context()).plan(0)
    undone = world.releases[-1]
    assert (undone.outcome, undone.why) == (Outcome.FAILED, "an alarm: test-gate-b-5xx in ALARM")


def test_what_bakes_can_be_aborted(world: World) -> None:
    left(world, SHIFTED[:4])
    assert abort(world)[0]
    assert outcomes(world)[-1] == ("bbb", Outcome.STOPPED)


def test_a_rollback_of_what_has_baked_puts_the_version_before_it_back(world: World) -> None:
    left(world, SHIFTED[:4])
    FakeEcs.complete(world.ecs)
    assert world.rolled_back().version == "aaa"
    assert outcomes(world)[1:] == [("bbb", Outcome.ROLLED_BACK), ("aaa", Outcome.SUCCEEDED)]

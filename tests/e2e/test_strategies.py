"""Releases by canary, linear and blue/green: who gets the new version, when, and how it is undone.

All tests share one environment. Each depends on those before it. A minute of a bake takes five seconds.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from fargate_ops.drill.load import Report, Request
from tests.e2e.conftest import PREFIX, Clone, Run, alarm_states, drain_for, minutes_of, service, wait_until
from tests.e2e.load import VERSION, load
from tests.e2e.test_release import FAILS_EVERY_FIFTH, assert_ended, assert_prints, finish, ledger, read_until, running

pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal, pytest.mark.timeout(900)]

MINUTE = 5
#: Bakes of one or two minutes, long enough for an alarm's evaluation and for a command in between.
SHORT: dict[str, Any] = {
    "ecs_release_minute_seconds": MINUTE,
    "release_canary_minutes": 3,
    "release_step_minutes": 1,
    "release_step_percent": 25,
    "release_bake_minutes": 1,
}
#: For verbs that run during a bake: it does not end before they do.
LONG: dict[str, Any] = {**SHORT, "release_canary_minutes": 60}


#: Longer than the slow requests, which the load balancer would cut off otherwise.
DRAIN = 4


@pytest.fixture(scope="module")
def deployed(clone: Clone) -> Iterator[Clone]:
    clone.make("deploy")
    drain_for(clone, DRAIN)
    with minutes_of(MINUTE):
        yield clone


def new_version(clone: Clone, text: str = "") -> str:
    """Commit a change of the application and return the version that a release of it has."""
    clone.commit("app/api/settlement/app.py", text or f"\n# {time.time_ns()}\n")
    return clone.version()


def weights(clone: Clone) -> list[int]:
    """Return the weights of the production rule's two target groups, the larger one first."""
    elbv2 = clone.aws("elbv2")
    (balancer,) = elbv2.describe_load_balancers(Names=[PREFIX])["LoadBalancers"]
    (listener,) = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    rules = elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    (rule,) = (rule for rule in rules if rule["Priority"] == "50000")
    groups = rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
    return sorted((group["Weight"] for group in groups), reverse=True)


def versions(report: Report) -> Counter[str]:
    """Count the answers of the version document by the version that they name."""
    counted: Counter[str] = Counter()
    for answer, count in report.tallies[VERSION.name].answers.copy().items():
        counted[json.loads(answer.partition(" ")[2])["git_hash"]] += count
    return counted


@dataclass
class Stage:
    """What a stage of a deployment answered: requests by version, between two looks at the rule's weights."""

    weights: list[int]
    answers: Counter[str] = field(default_factory=Counter)


@contextmanager
def watched_stages(clone: Clone, report: Report) -> Iterator[list[Stage]]:
    """Watch the production rule's weights and count the answers under each, without the half second of a change."""
    stages: list[Stage] = []
    ended = threading.Event()

    def watch() -> None:
        seen: list[int] | None = None
        before: Counter[str] = Counter()
        while not ended.is_set():
            now = weights(clone)
            if now != seen:
                ended.wait(0.5)  # answers of requests that were sent before the change
                seen, before = now, versions(report)
                stages.append(Stage(now))
            else:
                stages[-1].answers = versions(report) - before
            ended.wait(0.1)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield stages
    finally:
        ended.set()
        thread.join()


def service_deployment(clone: Clone) -> dict[str, object]:
    """Return the newest service deployment."""
    ecs = clone.aws("ecs")
    newest = ecs.list_service_deployments(cluster=PREFIX, service=PREFIX)["serviceDeployments"][0]
    arns = [newest["serviceDeploymentArn"]]
    return dict(ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"][0])


def until_stage(clone: Clone, stage: str) -> None:
    wait_until(lambda: service_deployment(clone).get("lifecycleStage") == stage, f"the stage {stage}")


def assert_no_difference(clone: Clone) -> None:
    """Check that Terraform plans nothing: the weights and the attached settings are not its own."""
    drain_for(clone, 10)  # as Terraform sets it
    planned = clone.make("plan").output
    drain_for(clone, DRAIN)
    assert "terraform: no change" in planned, planned[-4000:]


def test_a_canary_serves_its_share_and_then_everybody(deployed: Clone) -> None:
    old, new = deployed.version(), new_version(deployed)
    with load(per_second=200, slow=2) as report, watched_stages(deployed, report) as stages:
        run = deployed.make("release", "STRATEGY=canary", **SHORT)
    assert deployed.request("/version")[1]["git_hash"] == new
    (canary,) = (stage for stage in stages if stage.weights == [90, 10])
    share = canary.answers[new] / canary.answers.total()
    print(f"the canary answered {share:.1%} of {canary.answers.total()} requests")
    assert canary.answers.total() > 1_000
    assert 0.08 < share < 0.12
    assert stages[-1].weights == [100, 0]
    assert stages[0].answers[new] == 0, "the rolling deployment that attaches the rule releases nothing"
    assert ledger(deployed)[-1].outcome == "succeeded"
    assert old in versions(report)
    assert_prints(run, "10 %")
    assert_no_difference(deployed)
    assert deployed.make("release", "STRATEGY=canary", **SHORT).recap()["changed"] == 0


@pytest.mark.parametrize(
    ("strategy", "shares"),
    [("linear", [[75, 25], [50, 50], [75, 25], [100, 0]]), ("blue_green", [[100, 0]]), ("rolling", [[100, 0]])],
)
def test_other_strategies_shift_as_they_say(deployed: Clone, strategy: str, shares: list[list[int]]) -> None:
    new = new_version(deployed)
    with load(per_second=100, slow=2) as report, watched_stages(deployed, report) as stages:
        preview = deployed.make("release", "CHECK=1", f"STRATEGY={strategy}", **SHORT)
        deployed.make("release", f"STRATEGY={strategy}", **SHORT)
    assert preview.recap()["changed"] > 0
    assert versions(report)[new] > 0
    assert deployed.request("/version")[1]["git_hash"] == new
    # Equal weights of two looks in a row are one stage: the groups' order is not seen.
    seen = [stage.weights for stage in stages if stage.weights != [100, 0]]
    assert seen == [share for share in shares if share != [100, 0]]
    assert_no_difference(deployed)


def test_a_canary_that_fails_every_fifth_request_is_undone_by_its_gate(deployed: Clone) -> None:
    before, good = service(deployed)["taskDefinition"], deployed.version()
    account = deployed.request("/v1/accounts", {"name": "gate", "currency": "KRW"})[1]["id"]
    read = Request(name="account", path=f"/v1/accounts/{account}")
    new_version(deployed, FAILS_EVERY_FIFTH)
    try:
        with load(per_second=200, may_lose=True, requests=(VERSION, read)) as report:
            run = deployed.make("release", "STRATEGY=canary", expect=2, **LONG)
        # A gate that is on refuses the next release.
        wait_until(lambda: "ALARM" not in alarm_states(deployed).values(), "the alarms end")
    finally:
        deployed.git("reset", "--quiet", "--hard", "HEAD~1")
    assert_ended(deployed, run, "failed_and_undone")
    assert f"{PREFIX}-gate-" in deployed.outcome()["cause"], deployed.outcome()
    assert service(deployed)["taskDefinition"] == before
    assert deployed.request("/version")[1]["git_hash"] == good
    assert ledger(deployed)[-1].outcome == "failed"
    version, accounts = report.tallies[VERSION.name], report.tallies[read.name]
    assert version.lost == 0, version.examples
    # A fifth of a tenth, for part of the time.
    assert 0 < accounts.lost < 0.03 * (accounts.lost + accounts.answered), accounts
    assert all("500" in example for example in accounts.examples), accounts.examples
    print(f"{accounts.lost} of {accounts.lost + accounts.answered} requests failed")


def test_an_abort_and_a_rollback_in_a_bake_leave_only_the_old_version(deployed: Clone) -> None:
    good = deployed.version()
    for verb, outcome in (("abort", "stopped"), ("rollback", "stopped")):
        new_version(deployed)
        try:
            with load(per_second=100) as report, running(deployed, "release", release_strategy="canary", **LONG) as run:
                wait_until(lambda: weights(deployed) == [90, 10], "the canary gets its share")
                called = time.monotonic()
                with running(deployed, verb) as undo:
                    wait_until(lambda: weights(deployed) == [100, 0], "all requests go to the old version")
                    seconds = time.monotonic() - called
                    settled = versions(report)
                    assert finish(undo).code == 0
                assert finish(run).code == 2
            print(f"{verb}: {seconds:.1f} s from the command until only the old version answers")
            late = versions(report) - settled
            assert late[good] > 0
        finally:
            deployed.git("reset", "--quiet", "--hard", "HEAD~1")
        assert deployed.request("/version")[1]["git_hash"] == good
        assert ledger(deployed)[-1].outcome == outcome


def test_a_pause_waits_for_promote(deployed: Clone) -> None:
    new = new_version(deployed)
    with running(deployed, "release", release_strategy="blue_green", release_pause=True, **SHORT) as run:
        read_until(run, "make promote")
        assert deployed.request("/version")[1]["git_hash"] != new
        assert deployed.request("/version", **{"X-Release-Test": "1"})[1]["git_hash"] == new
        status = deployed.make("status").output
        assert_prints(Run(0, status), "make promote")
        deployed.make("promote")
        assert finish(run).code == 0
    assert deployed.request("/version")[1]["git_hash"] == new


@pytest.mark.parametrize("stage", ["SCALE_UP", "PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME"])
def test_killed_at_a_stage_the_same_command_converges(deployed: Clone, stage: str) -> None:
    new = new_version(deployed)
    with running(deployed, "release", release_strategy="canary", **SHORT) as run:
        until_stage(deployed, stage)
        os.killpg(run.pid, signal.SIGKILL)
    with load(per_second=50):
        deployed.make("release", "STRATEGY=canary", **SHORT)
    assert deployed.request("/version")[1]["git_hash"] == new
    assert ledger(deployed)[-1].outcome == "succeeded"
    assert_no_difference(deployed)

"""Health checks: the state machine, real checks, and the answers of DescribeTargetHealth."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator

import pytest

from local_cloud.elbv2 import health
from local_cloud.elbv2.health import Failure, Machine, Settings, State
from local_cloud.elbv2.targets import Target, TargetRegistry, probe
from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.services import StubService, make_service
from tests.support.ports import closed_port

SETTINGS = Settings("/healthz", None, 5, 60, 3, 2, "200-299,301")


@pytest.mark.parametrize(("matcher", "status", "expected"), [("200", 200, True), ("200,202", 202, True)])
def test_matcher(matcher: str, status: int, expected: bool) -> None:
    assert health.matches(matcher, status) is expected
    assert health.matches(SETTINGS.matcher, 301)
    assert not health.matches(SETTINGS.matcher, 302)


def test_a_new_target_needs_one_passing_check() -> None:
    machine = Machine()
    assert machine.health.reason == "Elb.RegistrationInProgress"
    machine.failed(Failure.no_answer(), SETTINGS)
    assert machine.health.reason == "Elb.InitialHealthChecking"
    machine.passed(SETTINGS)
    assert machine.health == health.HEALTHY


def test_an_unhealthy_target_needs_the_threshold_in_a_row() -> None:
    machine = Machine()
    for _ in range(2):
        machine.failed(Failure.status(503), SETTINGS)
    assert (machine.health.state, machine.health.reason) == (State.UNHEALTHY, "Target.ResponseCodeMismatch")
    assert machine.health.description == "Health checks failed with these codes: [503]"
    for _ in range(2):
        machine.passed(SETTINGS)
    machine.failed(Failure.timed_out(), SETTINGS)
    assert machine.health.reason == "Target.Timeout"
    for _ in range(3):
        assert machine.health.state is State.UNHEALTHY
        machine.passed(SETTINGS)
    assert machine.health.state is State.HEALTHY


def test_a_healthy_target_survives_one_failure() -> None:
    machine = Machine()
    machine.passed(SETTINGS)
    machine.failed(Failure.no_answer(), SETTINGS)
    assert machine.health.state is State.HEALTHY
    machine.failed(Failure.no_answer(), SETTINGS)
    assert (machine.health.state, machine.health.reason) == (State.UNHEALTHY, "Target.FailedHealthChecks")


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.rpartition("/")[2]))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=[0.01])
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_probe(server: http.server.ThreadingHTTPServer) -> None:
    target = Target("127.0.0.1", server.server_address[1])
    assert probe(target, Settings("/200", None, 5, 60, 2, 2, "200")) is None
    assert probe(target, Settings("/503", None, 5, 60, 2, 2, "200")) == Failure.status(503)
    assert probe(target, Settings("/200", closed_port(), 5, 60, 2, 2, "200")) == Failure.no_answer()


def test_registering_again_takes_a_draining_target_back(server: http.server.ThreadingHTTPServer) -> None:
    target = Target("127.0.0.1", server.server_address[1])
    registry = TargetRegistry(lambda _: Settings("/200", None, 5, 60, 2, 2, "200"), lambda _: True)
    registry.register("group", target)
    wait_for(lambda: registry.members("group") == {target: health.HEALTHY})
    registry.deregister("group", target, 60)
    assert registry.members("group") == {target: health.DRAINING}
    registry.register("group", target)
    wait_for(lambda: registry.members("group") == {target: health.HEALTHY})
    registry.deregister("group", target, 0)
    wait_for(lambda: registry.members("group") == {})
    registry.stop()


@pytest.fixture
def group(cloud: RunningCloud, stub_image: str) -> Iterator[StubService]:
    made = make_service(cloud, stub_image, delay=600)
    yield made
    made.delete()


@pytest.mark.local_cloud
def test_describe_target_health_tells_the_truth(group: StubService, server: http.server.ThreadingHTTPServer) -> None:
    elb, arn = group.elb, group.target_group
    address, port = str(server.server_address[0]), server.server_address[1]
    elb.modify_target_group(TargetGroupArn=arn, HealthCheckPath="/200")
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": address, "Port": port}])
    wait_for(lambda: group.target_states() == {address: "healthy"})
    elb.modify_target_group(TargetGroupArn=arn, HealthCheckPath="/500")
    wait_for(lambda: group.target_states() == {address: "unhealthy"})
    described = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"][0]
    assert described["TargetHealth"] == {
        "State": "unhealthy",
        "Reason": "Target.ResponseCodeMismatch",
        "Description": "Health checks failed with these codes: [500]",
    }
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": address, "Port": port}])
    assert group.target_states() == {address: "draining"}
    # Registering takes it back, so that it can be deregistered without the delay.
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": address, "Port": port}])
    group.drain_for(0)
    elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": address, "Port": port}])
    wait_for(lambda: group.target_states() == {})
    unknown = elb.describe_target_health(TargetGroupArn=arn, Targets=[{"Id": address, "Port": port}])
    assert unknown["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"] == "Target.NotRegistered"


@pytest.mark.local_cloud
def test_a_group_without_a_listener_is_unused(make: Callable[..., StubService]) -> None:
    service = make(listener=False)
    service.elb.register_targets(TargetGroupArn=service.target_group, Targets=[{"Id": "127.0.0.1", "Port": 9}])
    assert service.target_states() == {"127.0.0.1": "unused"}

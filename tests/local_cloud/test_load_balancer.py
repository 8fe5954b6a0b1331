"""HAProxy as an Application Load Balancer: targets, headers, and no lost requests."""

from __future__ import annotations

import http.server
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from fargate_ops.drill.load import Clients, Request, background
from fargate_ops.release.http_probe import fetch
from local_cloud.elbv2 import health
from local_cloud.elbv2.haproxy import RuntimeApi, Server, ServerState
from local_cloud.elbv2.load_balancer import commands, server_state
from local_cloud.elbv2.targets import Target
from tests.local_cloud.conftest import RunningCloud, wait_for
from tests.local_cloud.services import StubService, make_service

#: 250 requests/s, on kept and new connections, and some requests that last half a second
CLIENTS = [
    Clients(request=Request(name="kept", path="/"), count=20, per_second=125),
    Clients(request=Request(name="fresh", path="/"), count=20, per_second=125, keep_alive=False),
    Clients(request=Request(name="slow, kept", path="/slow/0.5"), count=3),
    Clients(request=Request(name="slow, fresh", path="/slow/0.5"), count=3, keep_alive=False),
]

A, B, C, NOBODY = (Target(address, 8000) for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3", "127.0.0.1"))


def servers(*states: tuple[Target, ServerState]) -> list[Server]:
    return [
        Server("targets", f"slot{n}", target, state, unchanged=9 - n)
        for n, (target, state) in enumerate(states, start=1)
    ]


def test_a_target_drains_before_others_change() -> None:
    free = (NOBODY, ServerState.MAINTENANCE)
    assert commands(servers(free, free), {A: ServerState.READY}) == [
        "set server targets/slot1 addr 10.0.0.1 port 8000",
        "set server targets/slot1 state ready",
    ]
    wanted = {B: ServerState.READY, A: ServerState.DRAIN}
    assert commands(servers((A, ServerState.READY), free), wanted)[0] == "set server targets/slot1 state drain"
    changed = servers((A, ServerState.DRAIN), (B, ServerState.READY))
    assert commands(changed, wanted) == []
    assert commands(changed, {B: ServerState.READY}) == [
        "set server targets/slot1 state maint",
        "shutdown sessions server targets/slot1",
    ]


def test_a_server_is_used_again_last() -> None:
    used = [
        Server("targets", "slot1", A, ServerState.MAINTENANCE, 5),
        Server("targets", "slot2", B, ServerState.MAINTENANCE, 7),
    ]
    assert commands(used, {C: ServerState.READY})[0] == "set server targets/slot2 addr 10.0.0.3 port 8000"


def test_a_target_that_is_back_keeps_its_server() -> None:
    back = ["set server targets/slot1 state ready"]
    for before in (ServerState.DRAIN, ServerState.MAINTENANCE):
        assert commands(servers((A, before)), {A: ServerState.READY}) == back


def test_more_targets_than_servers_do_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    wanted = {A: ServerState.READY, B: ServerState.READY}
    assert len(commands(servers((NOBODY, ServerState.MAINTENANCE)), wanted)) == 2
    assert "more than" in caplog.text


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (health.HEALTHY, ServerState.READY),
        (health.CHECKS_DISABLED, ServerState.READY),
        (health.REGISTERING, ServerState.DRAIN),
        (health.DRAINING, ServerState.DRAIN),
        (health.NOT_IN_USE, ServerState.DRAIN),
    ],
)
def test_only_healthy_targets_get_requests(seen: health.Health, expected: ServerState) -> None:
    assert server_state(seen) is expected


@pytest.fixture(scope="module")
def balanced(start_cloud: Callable[..., RunningCloud]) -> RunningCloud:
    """A cloud for this file only, because it serves one target group, and none of the internal load balancer here."""
    cloud = start_cloud()
    elb = cloud.client("elbv2")
    balancer = elb.create_load_balancer(Name="internal", Subnets=["subnet-1"], Scheme="internal")["LoadBalancers"][0]
    group = elb.create_target_group(Name="internal", Port=8000, Protocol="HTTP", TargetType="ip", VpcId="vpc-1")
    forward = {"Type": "forward", "TargetGroupArn": group["TargetGroups"][0]["TargetGroupArn"]}
    elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], Port=80, Protocol="HTTP", DefaultActions=[forward])
    return cloud


@pytest.fixture
def service(balanced: RunningCloud, stub_image: str) -> Iterator[StubService]:
    made = make_service(balanced, stub_image, delay=3)
    yield made
    made.delete()


def get(cloud: RunningCloud, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{cloud.config.load_balancer_port}{path}", headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Endless(http.server.ThreadingHTTPServer):
    """Answers health checks at once, and other requests only when it ends."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked, self.end = threading.Event(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        server: Endless

        def do_GET(self) -> None:
            if self.path != "/healthz":
                self.server.asked.set()
                self.server.end.wait()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass


@pytest.mark.local_cloud
def test_it_answers_503_without_a_target_and_adds_headers_with_one(service: StubService) -> None:
    cloud = service.cloud
    nobody = fetch(f"http://127.0.0.1:{cloud.config.load_balancer_port}/")
    assert (nobody.status, nobody.server) == (503, "awselb/2.0")
    service.create(service.register(), desired=1)
    service.wait_deployed()
    wait_for(lambda: get(cloud)[0] == 200)
    seen = json.loads(get(cloud, "/headers", {"X-Forwarded-For": "203.0.113.9"})[1])
    assert seen["x-forwarded-for"].startswith("203.0.113.9, ")
    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("http", "80")
    # The tasks trust these headers from this network's addresses: network_proxy_cidrs of inventory/local.
    assert IPv4Address(seen["peer"]) in IPv4Network(f"{cloud.config.gateway_address}/24", strict=False)
    trace = re.fullmatch(r"Root=1-([0-9a-f]{8})-[0-9a-f]{24}", seen["x-amzn-trace-id"])
    assert trace
    assert abs(int(trace[1], 16) - time.time()) < 600
    root = "Root=1-67891233-abcdef012345678912345678"
    seen = json.loads(get(cloud, "/headers", {"X-Amzn-Trace-Id": root})[1])
    assert re.fullmatch(rf"Self=1-[0-9a-f]{{8}}-[0-9a-f]{{24}};{root}", seen["x-amzn-trace-id"])


@pytest.fixture
def endless(balanced: RunningCloud) -> Iterator[Endless]:
    """A target on this machine that answers only health checks."""
    with Endless((balanced.config.gateway_address, 0), Endless.Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.end.set()
        server.shutdown()
        thread.join()


@pytest.mark.local_cloud
def test_a_request_that_outlasts_the_deregistration_delay_is_ended(service: StubService, endless: Endless) -> None:
    url = f"http://127.0.0.1:{service.cloud.config.load_balancer_port}/"
    target = {"Id": endless.server_address[0], "Port": endless.server_address[1]}
    service.elb.register_targets(TargetGroupArn=service.target_group, Targets=[target])
    wait_for(lambda: fetch(f"{url}healthz").status == 200)
    with ThreadPoolExecutor() as clients:
        request = clients.submit(fetch, url, timeout_seconds=120)
        assert endless.asked.wait(60)
        before = time.monotonic()
        service.elb.deregister_targets(TargetGroupArn=service.target_group, Targets=[target])
        with pytest.raises(OSError, match="RemoteDisconnected"):
            request.result()
    assert time.monotonic() - before >= 3


@pytest.mark.local_cloud
def test_it_comes_back_when_its_container_ends(service: StubService) -> None:
    cloud = service.cloud
    service.create(service.register(), desired=1)
    service.wait_deployed()
    wait_for(lambda: get(cloud)[0] == 200)
    (killed,) = cloud.containers("ministack=load-balancer")
    killed.kill()
    wait_for(lambda: [found for found in cloud.containers("ministack=load-balancer") if found.id != killed.id])

    def answers() -> bool:
        try:
            return get(cloud)[0] == 200
        except OSError:
            return False

    wait_for(answers)


@pytest.mark.local_cloud
def test_servers_that_differ_from_the_target_group_are_corrected(service: StubService) -> None:
    """A command that HAProxy refuses, or that is lost, leaves such a difference."""
    service.create(service.register(), desired=1)
    service.wait_deployed()
    wait_for(lambda: get(service.cloud)[0] == 200)
    haproxy = RuntimeApi(service.cloud.config.load_balancer_dir)
    for disturb in ("state maint", "state drain", "addr 127.0.0.9 port 9"):
        haproxy.run(*(f"set server {server.path} {disturb}" for server in haproxy.servers()))
        wait_for(lambda: get(service.cloud)[0] == 200, what=f"corrected after {disturb}")


@pytest.mark.local_cloud
def test_a_deployment_under_load_loses_nothing(service: StubService) -> None:
    # Long enough for a task to finish its requests on a busy machine: it exits and is not killed.
    patient = {"stopTimeout": 120}
    service.create(service.register(environment={"VERSION": "1"}, definition=patient))
    service.wait_deployed()
    wait_for(lambda: get(service.cloud) == (200, "1"))
    url = f"http://127.0.0.1:{service.cloud.config.load_balancer_port}"
    with background(url, CLIENTS) as report:
        wait_for(lambda: report.total > 100)
        second = {"VERSION": "2", "START_SECONDS": "1"}
        service.update(taskDefinition=service.register(environment=second, definition=patient))
        service.wait_deployed()
        service.update(forceNewDeployment=True)
        service.wait_deployed()
        service.update(desiredCount=1)
        service.wait(lambda now: now["runningCount"] == 1 and len(service.target_states()) == 1)
        after = report.answers["200 2"]
        wait_for(lambda: report.answers["200 2"] > after + 100)
    assert not report.lost, report.examples
    assert set(report.answers) == {"200 1", "200 2"}
    print(f"{report.total} requests in {report.seconds:.0f} s, none lost")
    wait_for(lambda: [task["lastStatus"] for task in service.tasks("STOPPED")] == ["STOPPED"] * 5)
    assert [task["containers"][0]["exitCode"] for task in service.tasks("STOPPED")] == [0] * 5

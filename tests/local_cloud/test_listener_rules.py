"""The rules of a listener: which target group gets a request, by conditions and by weights."""

from __future__ import annotations

import http.client
import http.server
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.drill.load import Clients, Report, Request, background
from local_cloud.elbv2 import haproxy
from local_cloud.elbv2.haproxy import FixedResponse, Forward, Frontend, Redirect, Rule, Settings
from local_cloud.elbv2.listener_rules import conditions
from tests.local_cloud.conftest import RunningCloud, wait_for

TWO = Forward({"group-a": "t80_1_0", "group-b": "t80_1_1"})


def lines(*frontends: Frontend) -> list[str]:
    text = haproxy.render("/run", Settings(frontends, backends=("group-a", "group-b")), [])
    return [line.strip() for line in text.splitlines()]


def test_a_request_is_dealt_with_by_its_first_rule_only() -> None:
    answer = FixedResponse(404, "text/plain", "it's gone")
    rules = (Rule(("path -m reg '^/old$'", "method -m reg '^GET$'"), answer), Rule(("src 10.0.0.0/8",), TWO))
    found = lines(Frontend(80, default=Forward({"group-a": ""}), rules=rules))
    first = "http-request set-var(txn.rule) int(1) if !{ var(txn.rule) -m found } { path -m reg '^/old$' }"
    assert f"{first} {{ method -m reg '^GET$' }}" in found
    assert "http-request set-var(txn.rule) int(2) if !{ var(txn.rule) -m found } { src 10.0.0.0/8 }" in found
    (response,) = (line for line in found if line.startswith("http-request return"))
    assert response.endswith("string 'it'\\''s gone' if { var(txn.rule) -m int 1 }")
    chosen = [line for line in found if line.startswith(("use_backend", "default_backend"))]
    assert chosen == [
        "use_backend group-a if { var(txn.rule) -m int 2 } { var(txn.draw),sub(txn.t80_1_0) -m int lt 0 }",
        "use_backend group-b if { var(txn.rule) -m int 2 } { var(txn.draw),sub(txn.t80_1_1) -m int lt 0 }",
        "use_backend group-a if !{ var(txn.rule) -m found }",
        "default_backend unserved",
    ]


def test_a_listener_without_rules_costs_nothing_more() -> None:
    text = "\n".join(lines(Frontend(80, default=Forward({"group-a": ""}))))
    assert "txn." not in text
    assert "use_backend group-a\n" in text
    redirect = "\n".join(lines(Frontend(80, default=Redirect(301, "https://x:443"))))
    assert "use_backend" not in redirect


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Field": "path-pattern", "Values": ["/*", "/a?.js"]}, "path -m reg '^/.*$' '^/a.\\x2ejs$'"),
        ({"Field": "host-header", "Values": ["*.example.com"]}, "-m reg -i '^.*\\x2eexample\\x2ecom$'"),
        (
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Test", "Values": ["it's"]}},
            "req.fhdr(X-Test) -m reg -i '^it\\x27s$'",
        ),
        ({"Field": "source-ip", "Values": ["10.0.0.0/8", "::1/128"]}, "src 10.0.0.0/8 ::1/128"),
        ({"Field": "query-string", "Values": []}, None),
    ],
)
def test_conditions_of_a_rule_are_haproxys(condition: dict[str, Any], expected: str | None) -> None:
    found = conditions({"Conditions": [condition]})
    assert found is None if expected is None else found is not None and found[0].endswith(expected)


class Named(http.server.BaseHTTPRequestHandler):
    """Answers with the name of its server, a path below /slow half a second later."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/slow"):
            threading.Event().wait(0.5)
        name = self.server.name.encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(name)))
        self.end_headers()
        self.wfile.write(name)

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """HAProxy resets connections that it no longer needs."""


@contextmanager
def target(cloud: RunningCloud, name: str) -> Iterator[dict[str, Any]]:
    """Run a target on this machine; yield it as RegisterTargets takes it."""
    with Server((cloud.config.gateway_address, 0), Named) as server:
        server.name = name  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield {"Id": server.server_address[0], "Port": server.server_address[1]}
        finally:
            server.shutdown()
            thread.join()


class Balancer:
    """A load balancer with the target groups "blue" and "green", and a rule that forwards everything by weight."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud = cloud
        self.url = f"http://127.0.0.1:{cloud.config.load_balancer_port}"
        self.elb = elb = cloud.client("elbv2")
        self.arn = elb.create_load_balancer(Name="ruled", Subnets=["subnet-1"])["LoadBalancers"][0]["LoadBalancerArn"]
        check = {"HealthCheckPath": "/healthz", "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 4}
        made = {
            name: elb.create_target_group(
                Name=name, Port=8000, Protocol="HTTP", TargetType="ip", VpcId="vpc-1", **check
            )
            for name in ("blue", "green")
        }
        self.groups = {name: answer["TargetGroups"][0]["TargetGroupArn"] for name, answer in made.items()}
        default = [{"Type": "forward", "TargetGroupArn": self.groups["blue"]}]
        answer = elb.create_listener(LoadBalancerArn=self.arn, Port=80, Protocol="HTTP", DefaultActions=default)
        self.listener = answer["Listeners"][0]["ListenerArn"]
        everything = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}]
        self.rule = self.create(50_000, everything, self.forward(100, 0))

    def forward(self, blue: int, green: int, *, turned: bool = False) -> list[dict[str, Any]]:
        weights = zip(self.groups.values(), (blue, green), strict=True)
        groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights]
        groups = groups[::-1] if turned else groups
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]

    def create(self, priority: int, conditions: list[dict[str, Any]], actions: list[dict[str, Any]]) -> str:
        made = self.elb.create_rule(
            ListenerArn=self.listener, Priority=priority, Conditions=conditions, Actions=actions
        )["Rules"][0]
        return str(made["RuleArn"])

    def shift(self, blue: int, green: int) -> None:
        self.elb.modify_rule(RuleArn=self.rule, Actions=self.forward(blue, green))

    def ask(self, path: str = "/", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.cloud.config.load_balancer_port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def process(self) -> list[str]:
        """Return the identifier of HAProxy's process, which a reload changes."""
        info = haproxy.RuntimeApi(self.cloud.config.load_balancer_dir).run("show info")
        return [line for line in info.splitlines() if line.startswith("Pid:")]

    def states(self, name: str) -> set[str]:
        health = self.elb.describe_target_health(TargetGroupArn=self.groups[name])["TargetHealthDescriptions"]
        return {item["TargetHealth"]["State"] for item in health}


@pytest.fixture(scope="module")
def balancer(start_cloud: Callable[..., RunningCloud]) -> Iterator[Balancer]:
    """A cloud of this file only, because one load balancer is served. Both groups have a healthy target."""
    made = Balancer(start_cloud())
    with ExitStack() as stack:
        for name, arn in made.groups.items():
            one = stack.enter_context(target(made.cloud, name))
            made.elb.register_targets(TargetGroupArn=arn, Targets=[one])
            # A group without weight is in use too: its targets are checked.
            wait_for(lambda name=name: made.states(name) == {"healthy"})
        wait_for(lambda: made.ask() == (200, "blue"))
        yield made


def answers(report: Report) -> Counter[str]:
    return Counter({name.partition(" ")[2]: count for name, count in report.answers.items()})


@pytest.mark.local_cloud
def test_weights_change_under_load_within_a_second_and_lose_nothing(balancer: Balancer) -> None:
    clients = [
        Clients(request=Request(name="kept", path="/"), count=10, per_second=150),
        Clients(request=Request(name="fresh", path="/"), count=10, per_second=50, keep_alive=False),
        Clients(request=Request(name="slow, kept", path="/slow"), count=3),
        Clients(request=Request(name="slow, fresh", path="/slow"), count=3, keep_alive=False),
    ]
    with background(balancer.url, clients) as report:
        wait_for(lambda: report.total > 200)
        assert answers(report).keys() == {"blue"}
        balancer.shift(90, 10)
        before = answers(report)
        wait_for(lambda: (answers(report) - before).total() > 3_000, what="3,000 requests")
        new = answers(report) - before
        assert 0.08 < new["green"] / new.total() < 0.12, new
        process = balancer.process()
        balancer.elb.modify_rule(RuleArn=balancer.rule, Actions=balancer.forward(0, 100, turned=True))
        called = time.monotonic()
        wait_for(lambda: balancer.ask() == (200, "green"))
        assert time.monotonic() - called < 1
        threading.Event().wait(1)  # the slow requests that the other group got before
        before = answers(report)
        wait_for(lambda: (answers(report) - before).total() > 500)
        assert (answers(report) - before).keys() == {"green"}
        balancer.shift(100, 0)
        wait_for(lambda: balancer.ask() == (200, "blue"))
    assert report.lost == 0, report.examples
    print(f"{report.total} requests, none lost")
    assert balancer.process() == process, "weights need no reload"


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    return str(raised.value.response["Error"]["Code"])


@pytest.mark.local_cloud
def test_what_aws_refuses_is_refused(balancer: Balancer) -> None:
    create, listener = balancer.elb.create_rule, balancer.listener
    paths = [{"Field": "path-pattern", "Values": ["/refused"]}]
    given = {"ListenerArn": listener, "Conditions": paths}
    assert refusal(create, Priority=50_000, Actions=balancer.forward(1, 1), **given) == "PriorityInUse"
    assert refusal(create, Priority=50_001, Actions=balancer.forward(1, 1), **given) == "ValidationError"
    assert refusal(create, Priority=7, Actions=balancer.forward(1, 1000), **given) == "ValidationError"
    unknown = [{"Type": "forward", "TargetGroupArn": balancer.groups["blue"] + "0"}]
    assert refusal(create, Priority=7, Actions=unknown, **given) == "TargetGroupNotFound"
    assert refusal(balancer.elb.modify_rule, RuleArn=balancer.rule, Actions=unknown) == "TargetGroupNotFound"
    moved = [{"RuleArn": balancer.rule, "Priority": 0}]
    assert refusal(balancer.elb.set_rule_priorities, RulePriorities=moved) == "ValidationError"
    other = balancer.create(7, paths, balancer.forward(1, 1))
    both = [{"RuleArn": arn, "Priority": 8} for arn in (balancer.rule, other)]
    assert refusal(balancer.elb.set_rule_priorities, RulePriorities=both) == "PriorityInUse"
    balancer.elb.delete_rule(RuleArn=other)
    many = [{"TargetGroupArn": arn, "Weight": 1} for arn in [*balancer.groups.values()] * 3]
    forward = [{"Type": "forward", "ForwardConfig": {"TargetGroups": many}}]
    assert refusal(create, Priority=7, Actions=forward, **given) == "ValidationError"
    (rule,) = balancer.elb.describe_rules(RuleArns=[balancer.rule])["Rules"]
    weights = [group["Weight"] for group in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]]
    assert (rule["Priority"], weights) == ("50000", [100, 0])


@pytest.mark.local_cloud
def test_a_header_leads_to_its_own_group_before_the_rule_for_everything(balancer: Balancer) -> None:
    header = {"HttpHeaderName": "X-Release-Test", "Values": ["1", "gr*"]}
    rule = balancer.create(100, [{"Field": "http-header", "HttpHeaderConfig": header}], balancer.forward(0, 100))
    try:
        wait_for(lambda: balancer.ask(**{"x-release-test": "1"}) == (200, "green"))
        assert balancer.ask(**{"X-Release-Test": "GREEN"}) == (200, "green")
        assert balancer.ask(**{"X-Release-Test": "2"}) == (200, "blue")
        assert balancer.ask() == (200, "blue")
        balancer.elb.set_rule_priorities(RulePriorities=[{"RuleArn": balancer.rule, "Priority": 50}])
        wait_for(lambda: balancer.ask(**{"X-Release-Test": "1"}) == (200, "blue"), what="the other rule comes first")
    finally:
        balancer.elb.delete_rule(RuleArn=rule)
        balancer.elb.set_rule_priorities(RulePriorities=[{"RuleArn": balancer.rule, "Priority": 50_000}])


@pytest.mark.local_cloud
def test_a_chosen_group_without_a_healthy_target_answers_503(balancer: Balancer) -> None:
    (empty,) = balancer.elb.create_target_group(
        Name="empty", Port=8000, Protocol="HTTP", TargetType="ip", VpcId="vpc-1"
    )["TargetGroups"]
    forward = [{"Type": "forward", "TargetGroupArn": empty["TargetGroupArn"]}]
    rule = balancer.create(10, [{"Field": "path-pattern", "Values": ["/empty"]}], forward)
    try:
        wait_for(lambda: balancer.ask("/empty")[0] == 503)
        assert balancer.ask("/") == (200, "blue")
    finally:
        balancer.elb.delete_rule(RuleArn=rule)
        balancer.elb.delete_target_group(TargetGroupArn=empty["TargetGroupArn"])


@pytest.mark.local_cloud
def test_a_fixed_response_and_a_redirect_of_a_rule(balancer: Balancer) -> None:
    fixed = {"StatusCode": "410", "ContentType": "text/plain", "MessageBody": "it's gone"}
    gone = balancer.create(
        20,
        [{"Field": "path-pattern", "Values": ["/gone*"]}, {"Field": "http-request-method", "Values": ["GET"]}],
        [{"Type": "fixed-response", "FixedResponseConfig": fixed}],
    )
    moved = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_302"}
    away = balancer.create(
        21,
        [{"Field": "host-header", "HostHeaderConfig": {"Values": ["old.example.com"]}}],
        [{"Type": "redirect", "RedirectConfig": moved}],
    )
    try:
        wait_for(lambda: balancer.ask("/gone/1") == (410, "it's gone"))
        wait_for(lambda: balancer.ask("/", Host="OLD.example.com")[0] == 302)
        assert balancer.ask("/") == (200, "blue")
    finally:
        for rule in (gone, away):
            balancer.elb.delete_rule(RuleArn=rule)


@pytest.mark.local_cloud
def test_metrics_tell_the_groups_apart(balancer: Balancer) -> None:
    balancer.shift(50, 50)
    cloudwatch = balancer.cloud.client("cloudwatch")
    load_balancer = {"Name": "LoadBalancer", "Value": balancer.arn.split(":loadbalancer/")[-1]}

    def total(name: str, *dimensions: dict[str, str], statistic: str = "Sum") -> float:
        now = time.time()
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/ApplicationELB",
            MetricName=name,
            Dimensions=[load_balancer, *dimensions],
            StartTime=now - 3600,
            EndTime=now + 60,
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        return float(sum(point[statistic] for point in points))

    groups = {name: {"Name": "TargetGroup", "Value": arn.split(":")[-1]} for name, arn in balancer.groups.items()}
    try:
        before = {name: total("RequestCount", group) for name, group in groups.items()}
        everything = total("RequestCount")
        with background(balancer.url, [Clients(request=Request(name="kept", path="/"), count=5, per_second=50)]):
            wait_for(
                lambda: all(total("RequestCount", group) > before[name] + 50 for name, group in groups.items()),
                what="the requests of both groups are reported",
            )
        assert total("RequestCount") >= everything + 100
        for group in groups.values():
            assert total("HTTPCode_Target_2XX_Count", group) > 0
            assert total("TargetResponseTime", group, statistic="SampleCount") > 0
            wait_for(lambda group=group: total("HealthyHostCount", group, statistic="Maximum") > 0)
    finally:
        balancer.shift(100, 0)

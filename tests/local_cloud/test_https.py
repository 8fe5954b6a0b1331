"""The load balancer with a listener for HTTPS: its certificate, security policy, redirect, headers and time limits.

The listeners are those that `terraform/modules/alb` creates for a hosted zone and a name. The target is a server of the
test.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from botocore.exceptions import ClientError

from fargate_ops.drill.load import Clients, Request, background
from local_cloud.core import authority
from local_cloud.elbv2 import haproxy
from tests.local_cloud.conftest import HOSTED_ZONE, REPOSITORY, RunningCloud, wait_for

pytestmark = pytest.mark.local_cloud

NAME = "shop.localhost"
#: What Terraform gives the listener.
(POLICY,) = re.findall(r'ssl_policy += "(.+)"', (REPOSITORY / "terraform/modules/alb/https.tf").read_text())
#: Long enough for a slow machine; a test fails only if nothing happens at all.
PATIENCE = 60


class Target(http.server.ThreadingHTTPServer):
    """Returns its request as JSON. ``/wait`` is answered when its test ends."""

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), self.Handler)
        self.asked, self.end = threading.Event(), threading.Event()
        #: The load balancer's connections, and those of them with a request for ``/wait``.
        self.connections: set[Any] = set()
        self.waiting: set[Any] = set()

    @property
    def target(self) -> dict[str, Any]:
        return {"Id": self.server_address[0], "Port": self.server_address[1]}

    class Handler(http.server.BaseHTTPRequestHandler):
        server: Target
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if "X-Forwarded-For" in self.headers:
                self.server.connections.add(self.client_address)
            if self.path == "/wait":
                self.server.waiting.add(self.client_address)
                self.server.asked.set()
                self.server.end.wait()
                self.server.waiting.discard(self.client_address)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.dumps({"version": self.request_version, "path": self.path, **headers}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle(self) -> None:
            # The load balancer also ends connections by a reset.
            with contextlib.suppress(ConnectionError):
                super().handle()
            self.server.connections.discard(self.client_address)

        def log_message(self, *_: object) -> None:
            pass


@dataclass(frozen=True)
class Balancer:
    """A load balancer as Terraform makes it with a zone and a name, and its target group's only target."""

    cloud: RunningCloud
    arn: str
    group: str
    listener: str
    target: Target

    @property
    def port(self) -> int:
        port = self.cloud.config.load_balancer_https_port
        assert port is not None
        return port

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def plain_url(self) -> str:
        return f"http://127.0.0.1:{self.cloud.config.load_balancer_port}"

    @property
    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(authority.certificate_file(self.cloud.config)))

    def get(self, path: str, *, http2: bool = False, **request: Any) -> httpx2.Response:
        with httpx2.Client(verify=self.trusting, http2=http2, trust_env=False, timeout=PATIENCE) as client:
            return client.get(self.url + path, **request)

    def handshake(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        return context.wrap_socket(plain, server_hostname=NAME)

    def protocol(self, context: ssl.SSLContext) -> str | None:
        """Return the protocol and the cipher that a client agrees on; None if it is refused."""
        try:
            with self.handshake(context) as connection:
                return f"{connection.version()} {(connection.cipher() or ('',))[0]}"
        except ssl.SSLError:
            return None


def validate(cloud: RunningCloud, arn: str) -> None:
    """Create the certificate's CNAME records in the hosted zone."""
    described = cloud.client("acm").describe_certificate(CertificateArn=arn)["Certificate"]
    for option in described["DomainValidationOptions"]:
        record = option["ResourceRecord"]
        change = {
            "Name": record["Name"],
            "Type": record["Type"],
            "TTL": 60,
            "ResourceRecords": [{"Value": record["Value"]}],
        }
        batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": change}]}
        cloud.client("route53").change_resource_record_sets(HostedZoneId=HOSTED_ZONE, ChangeBatch=batch)


def answers(balancer: Balancer) -> bool:
    try:
        return balancer.get("/").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture(scope="module")
def balancer(cloud: RunningCloud) -> Iterator[Balancer]:
    acm, elb = cloud.client("acm"), cloud.client("elbv2")
    certificate = acm.request_certificate(DomainName=NAME, ValidationMethod="DNS")["CertificateArn"]
    validate(cloud, certificate)
    arn = elb.create_load_balancer(Name="shop", Subnets=["subnet-1"])["LoadBalancers"][0]["LoadBalancerArn"]
    group = elb.create_target_group(
        Name="shop", Port=8000, Protocol="HTTP", TargetType="ip", VpcId="vpc-1", HealthCheckIntervalSeconds=1
    )["TargetGroups"][0]["TargetGroupArn"]
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "2"}
    elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[delay])
    redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    plain = elb.create_listener(
        LoadBalancerArn=arn,
        Port=80,
        Protocol="HTTP",
        DefaultActions=[{"Type": "redirect", "RedirectConfig": redirect}],
    )["Listeners"][0]["ListenerArn"]
    listener = elb.create_listener(
        LoadBalancerArn=arn,
        Port=443,
        Protocol="HTTPS",
        SslPolicy=POLICY,
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )["Listeners"][0]["ListenerArn"]
    with Target(cloud.config.gateway_address) as target:
        thread = threading.Thread(target=target.serve_forever, args=[0.01])
        thread.start()
        elb.register_targets(TargetGroupArn=group, Targets=[target.target])
        made = Balancer(cloud, arn, group, listener, target)
        wait_for(lambda: answers(made))
        yield made
        target.shutdown()
        thread.join()
    for used in (plain, listener):
        elb.delete_listener(ListenerArn=used)
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.delete_target_group(TargetGroupArn=group)
    acm.delete_certificate(CertificateArn=certificate)


@pytest.fixture
def waiting(balancer: Balancer) -> Iterator[None]:
    """For a test that sends ``/wait``."""
    target = balancer.target
    target.asked, target.end = threading.Event(), threading.Event()
    yield
    target.end.set()
    wait_for(lambda: not target.waiting)


def test_a_certificate_is_issued_when_its_record_resolves(balancer: Balancer) -> None:
    acm, elb = balancer.cloud.client("acm"), balancer.cloud.client("elbv2")
    arn = acm.request_certificate(DomainName=f"new.{NAME}", ValidationMethod="DNS")["CertificateArn"]
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "PENDING_VALIDATION"
    with pytest.raises(ClientError, match="UnsupportedCertificate"):
        elb.modify_listener(ListenerArn=balancer.listener, Certificates=[{"CertificateArn": arn}])
    validate(balancer.cloud, arn)
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED"
    acm.delete_certificate(CertificateArn=arn)
    with pytest.raises(ClientError, match="CertificateNotFound"):
        elb.modify_listener(ListenerArn=balancer.listener, Certificates=[{"CertificateArn": arn}])


def test_a_certificate_in_use_is_not_deleted(balancer: Balancer) -> None:
    acm = balancer.cloud.client("acm")
    (used,) = acm.list_certificates()["CertificateSummaryList"]
    assert acm.describe_certificate(CertificateArn=used["CertificateArn"])["Certificate"]["InUseBy"] == [balancer.arn]
    with pytest.raises(ClientError, match="ResourceInUseException"):
        acm.delete_certificate(CertificateArn=used["CertificateArn"])


def test_an_imported_certificate_takes_the_place_of_the_other(balancer: Balancer) -> None:
    acm, elb = balancer.cloud.client("acm"), balancer.cloud.client("elbv2")
    (before,) = acm.list_certificates()["CertificateSummaryList"]
    body, key = authority.issue(balancer.cloud.config, ["imported.localhost"], ["127.0.0.1"])
    imported = acm.import_certificate(Certificate=body.encode(), PrivateKey=key.encode())["CertificateArn"]
    assert acm.describe_certificate(CertificateArn=imported)["Certificate"]["DomainName"] == "imported.localhost"

    def served() -> str:
        return ssl.get_server_certificate(("127.0.0.1", balancer.port), timeout=PATIENCE).strip()

    elb.modify_listener(ListenerArn=balancer.listener, Certificates=[{"CertificateArn": imported}])
    wait_for(lambda: served() == body.strip())
    elb.modify_listener(ListenerArn=balancer.listener, Certificates=[{"CertificateArn": before["CertificateArn"]}])
    wait_for(lambda: served() != body.strip())
    acm.delete_certificate(CertificateArn=imported)


def test_a_client_speaks_http_2_and_the_target_http_1(balancer: Balancer) -> None:
    answer = balancer.get("/items?page=2", http2=True)
    assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
    assert (answer.json()["version"], answer.json()["path"]) == ("HTTP/1.1", "/items?page=2")
    assert balancer.get("/").http_version == "HTTP/1.1"


def test_headers_say_who_asked_and_how(balancer: Balancer) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Forwarded-Proto": "http", "X-Forwarded-Port": "1"}
    for http2 in (False, True):
        seen = balancer.get("/", http2=http2, headers=forged).json()
        assert re.fullmatch(r"203\.0\.113\.9, 198\.51\.100\.7, [\d.]+", seen["x-forwarded-for"])
        assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("https", "443")


def test_port_80_redirects_and_keeps_host_path_and_query(balancer: Balancer) -> None:
    answer = httpx2.get(
        f"{balancer.plain_url}/v1/items?page=2&sort=a%20b", headers={"Host": NAME}, trust_env=False, timeout=PATIENCE
    )
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"https://{NAME}:{balancer.port}/v1/items?page=2&sort=a%20b"
    assert answer.headers["Server"] == "awselb/2.0"
    assert httpx2.head(balancer.plain_url, trust_env=False).headers["Location"] == f"{balancer.url}/"


def client(protocol: ssl.TLSVersion, ciphers: str = "DEFAULT") -> ssl.SSLContext:
    """Return a client of one protocol that trusts everybody and accepts what OpenSSL forbids by default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = protocol
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_the_policy_decides_about_protocols_and_ciphers(balancer: Balancer) -> None:
    elb = balancer.cloud.client("elbv2")
    old, current, cbc = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-SHA256"
    assert balancer.protocol(client(ssl.TLSVersion.TLSv1_3)) == "TLSv1.3 TLS_AES_128_GCM_SHA256"
    assert balancer.protocol(client(current)) == "TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256"
    assert balancer.protocol(client(current, cbc)) is None
    assert balancer.protocol(client(old)) is None

    elb.modify_listener(ListenerArn=balancer.listener, SslPolicy="ELBSecurityPolicy-2016-08")
    wait_for(lambda: balancer.protocol(client(old)))
    assert balancer.protocol(client(current, cbc)) == f"TLSv1.2 {cbc}"
    assert balancer.protocol(client(ssl.TLSVersion.TLSv1_3)) is None

    elb.modify_listener(ListenerArn=balancer.listener, SslPolicy=POLICY)
    wait_for(lambda: not balancer.protocol(client(old)))
    with pytest.raises(ClientError, match="SSLPolicyNotFound"):
        elb.modify_listener(ListenerArn=balancer.listener, SslPolicy="ELBSecurityPolicy-None")


@pytest.fixture
def idle(balancer: Balancer) -> Iterator[Callable[[int], None]]:
    """Set the load balancer's idle timeout in seconds, and the default afterwards. Each change is in force at once."""

    def choose(seconds: int) -> None:
        attribute = {"Key": "idle_timeout.timeout_seconds", "Value": str(seconds)}
        balancer.cloud.client("elbv2").modify_load_balancer_attributes(
            LoadBalancerArn=balancer.arn, Attributes=[attribute]
        )
        wait_for(lambda: in_force() == str(seconds), seconds=PATIENCE)

    def in_force() -> str:
        return re.findall(r"serves port .*, idle timeout (\d+) s", balancer.cloud.config.log_file.read_text())[-1]

    yield choose
    choose(60)


def test_an_idle_connection_is_closed_and_a_slow_target_is_a_504(
    balancer: Balancer, idle: Callable[[int], None], waiting: None
) -> None:
    idle(3)

    with balancer.handshake(balancer.trusting) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.settimeout(30)  # half of the default
        while connection.recv(65536):
            pass
    answer = balancer.get("/wait")
    assert (answer.status_code, answer.headers["Server"]) == (504, "awselb/2.0")


def test_a_change_of_listeners_loses_no_request(balancer: Balancer, idle: Callable[[int], None]) -> None:
    fresh = [Clients(request=Request(name="fresh", path="/"), count=10, per_second=100, keep_alive=False)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUBLIC_URL_AUTHORITY", str(authority.certificate_file(balancer.cloud.config)))
        with background(balancer.url, fresh) as report:
            wait_for(lambda: report.total > 50)
            for seconds in (61, 62, 63):
                idle(seconds)
                before = report.total
                wait_for(lambda: report.total > before + 50)  # noqa: B023
    assert not report.lost, report.examples


def test_a_reader_of_the_log_leaves_the_process_that_was_reloaded(
    balancer: Balancer, idle: Callable[[int], None], waiting: None
) -> None:
    """The old process may have requests for a minute. Until it ends, its log has nothing of the new one."""
    follow = haproxy.RuntimeApi(balancer.cloud.config.load_balancer_dir).follow

    def read_until(lines: Iterator[str], path: str) -> str:
        return next(line for line in lines if line.endswith(f"GET {path}\n"))

    with ThreadPoolExecutor() as clients:
        old = follow()
        seen = clients.submit(read_until, old, "/before")
        wait_for(lambda: balancer.get("/before") and seen.done())
        request = clients.submit(balancer.get, "/wait")
        assert balancer.target.asked.wait(PATIENCE)
        idle(61)
        list(old)
        assert not request.done()
        seen = clients.submit(read_until, follow(), "/after")
        wait_for(lambda: balancer.get("/after") and seen.done())
        balancer.target.end.set()
        assert request.result().status_code == 200


def test_connections_end_with_the_deregistration_delay(balancer: Balancer, waiting: None) -> None:
    elb, target = balancer.cloud.client("elbv2"), balancer.target
    with ThreadPoolExecutor() as clients:
        request = clients.submit(balancer.get, "/wait", http2=True)
        assert target.asked.wait(PATIENCE)
        # Beside it, a connection to the target that is kept without a request.
        balancer.get("/")
        assert len(target.connections) > 1
        before = time.monotonic()
        elb.deregister_targets(TargetGroupArn=balancer.group, Targets=[target.target])
        with pytest.raises(httpx2.RemoteProtocolError):
            request.result()
    assert time.monotonic() - before >= 2
    # The target does not see the end of the connection whose request it still works on.
    wait_for(lambda: target.connections == target.waiting)
    elb.register_targets(TargetGroupArn=balancer.group, Targets=[target.target])
    wait_for(lambda: answers(balancer))

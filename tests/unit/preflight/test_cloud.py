from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber

from fargate_ops.aws.endpoint import not_answering
from fargate_ops.preflight.cloud import check_account, check_bucket, check_github, check_registry, check_skew
from tests.support.ports import closed_port

ARN = "arn:aws:iam::222222222222:user/me"


@pytest.fixture
def sts() -> Iterator[Stubber]:
    client = boto3.client("sts", region_name="ap-northeast-2", aws_access_key_id="k", aws_secret_access_key="s")
    with Stubber(client) as stubber:
        yield stubber


def test_the_right_account(sts: Stubber) -> None:
    sts.add_response("get_caller_identity", {"Account": "222222222222", "Arn": ARN})
    finding = check_account(sts.client, "222222222222", "staging")
    assert (finding.status, finding.summary) == ("OK", f"222222222222, {ARN}")


def test_the_wrong_account(sts: Stubber) -> None:
    sts.add_response("get_caller_identity", {"Account": "222222222222", "Arn": ARN})
    problem = check_account(sts.client, "333333333333", "production").problems[0]
    assert problem.what == "The credentials belong to account 222222222222, and production is account 333333333333."
    assert "AWS_PROFILE=<profile of 333333333333>" in problem.next_step


def test_expired_credentials(sts: Stubber) -> None:
    sts.add_client_error("get_caller_identity", "ExpiredToken", "The security token included is expired")
    finding = check_account(sts.client, "222222222222", "staging")
    assert finding.summary == "ExpiredToken"
    assert "is expired" in finding.problems[0].what


@pytest.mark.parametrize(
    ("error", "summary"),
    [(NoCredentialsError(), "no credentials"), (EndpointConnectionError(endpoint_url="https://sts"), "no answer")],
)
def test_no_credentials_and_no_answer(error: Exception, summary: str) -> None:
    class Sts:
        def get_caller_identity(self) -> None:
            raise error

    finding = check_account(Sts(), "222222222222", "staging")
    assert (finding.status, finding.summary) == ("FAIL", summary)


@pytest.mark.parametrize(
    ("ahead", "status", "summary"),
    [(2, "OK", "2 s ahead of AWS"), (-299, "OK", "299 s behind AWS"), (-301, "FAIL", "301 s behind AWS")],
)
def test_a_wrong_clock(ahead: int, status: str, summary: str) -> None:
    now = datetime(2026, 1, 31, 9, tzinfo=UTC)
    headers = {"date": "Sat, 31 Jan 2026 09:00:00 GMT"}

    class Sts:
        def get_caller_identity(self) -> Any:
            return {"ResponseMetadata": {"HTTPHeaders": headers}}

    class Refusing:
        def get_caller_identity(self) -> Any:
            response: Any = {"Error": {"Code": "SignatureDoesNotMatch"}, "ResponseMetadata": {"HTTPHeaders": headers}}
            raise ClientError(response, "GetCallerIdentity")

    for client in (Sts(), Refusing()):
        finding = check_skew(client, lambda: now + timedelta(seconds=ahead))
        assert (finding.status, finding.summary) == (status, summary)


def test_without_credentials_the_clock_is_not_known() -> None:
    class Sts:
        def get_caller_identity(self) -> Any:
            raise NoCredentialsError

    assert check_skew(Sts()).status == "SKIP"


def test_the_state_bucket_is_there_or_bootstrap_creates_it(s3: Any) -> None:
    assert check_bucket(s3, "state-bucket", "qa", may_start_later=False).status == "OK"
    missing = check_bucket(s3, "gone", "qa", may_start_later=False)
    assert missing.problems[0].next_step == "make bootstrap ENV=qa"
    assert check_bucket(s3, "gone", "qa", may_start_later=True).status == "SKIP"


def test_gh_is_needed_for_a_repository_only() -> None:
    def refuse(*_: object) -> tuple[int, str, str]:
        return 127, "", "gh is not on PATH"

    assert check_github(refuse, "").status == "SKIP"
    assert "gh is not on PATH" in check_github(refuse, "acme/app").problems[0].what
    assert check_github(lambda *_: (0, "true\n", ""), "acme/app").status == "OK"


class _Registry(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Tests need no access log."""


@pytest.fixture
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def closed() -> str:
    """An address on this machine without a listener."""
    return f"127.0.0.1:{closed_port()}"


@pytest.mark.parametrize(("status", "outcome"), [(200, "OK"), (401, "OK"), (503, "FAIL")])
def test_a_registry_that_answers(address: str, monkeypatch: pytest.MonkeyPatch, status: int, outcome: str) -> None:
    monkeypatch.setattr(_Registry, "status", status)  # ECR asks for a login: 401
    assert check_registry(address, may_start_later=False).status == outcome


def test_a_silent_registry_is_a_problem_unless_the_flow_would_start_it(closed: str) -> None:
    assert check_registry(closed, may_start_later=False).status == "FAIL"
    skipped = check_registry(closed, may_start_later=True)
    assert skipped.status == "SKIP"
    assert "not known yet" in skipped.summary


def test_a_silent_registry_elsewhere_is_a_problem_in_check_mode_too() -> None:
    assert check_registry("registry.invalid", may_start_later=True).status == "FAIL"


def test_an_endpoint_that_answers_or_not(address: str, closed: str) -> None:
    assert not_answering({}) == ""
    assert not_answering({"AWS_ENDPOINT_URL": f"http://{address}"}) == ""
    assert not_answering({"AWS_ENDPOINT_URL": f"http://{closed}"}) == (
        f"http://{closed} does not answer (Connection refused)"
    )


def test_an_endpoints_port_may_be_implied(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(address: tuple[str, int], timeout: float) -> None:
        asked.append(address[1])
        raise OSError("refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert "refused" in not_answering({"AWS_ENDPOINT_URL": "https://aws.test"})
    assert "refused" in not_answering({"AWS_ENDPOINT_URL": "http://aws.test"})
    assert asked == [443, 80]

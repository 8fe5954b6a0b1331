"""Delivery of messages: a real child process, an HTTP server as Slack, and moto's Secrets Manager."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto.server import ThreadedMotoServer

from fargate_ops.notify.deliver import NoWebhook, deliver, is_safe, read_webhook
from fargate_ops.notify.slack import Assignment, Notifier, Subject, started
from tests.support.ports import closed_port

MESSAGE = started(Subject(environment="test", version="5f0c2b7d9e31"))
LINE = f"{MESSAGE.summary}: "
#: The secret part of the URL, which must not be in the log.
TOKEN = "/services/T000/B000/very-secret"


@dataclass
class Slack:
    """Returns the given responses, the last one repeatedly; records the requests."""

    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=lambda: [(200, {}, "ok")])
    delay: float = 0.0
    may_answer: threading.Event = field(default_factory=threading.Event)
    bodies: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def slack() -> Iterator[Slack]:
    state = Slack()
    state.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            state.paths.append(self.path)
            state.at.append(time.monotonic())
            status, headers, body = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
            time.sleep(state.delay)
            state.may_answer.wait(240)
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())
            except OSError:  # the client has gone
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}{TOKEN}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def secretsmanager() -> Iterator[Any]:
    """Secrets Manager, for this process and its children."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_DEFAULT_REGION", "ap-northeast-2")
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        yield boto3.client("secretsmanager")
    server.stop()


@pytest.fixture
def secret(secretsmanager: Any) -> Iterator[str]:
    """A secret without a value."""
    arn = secretsmanager.create_secret(Name="settlement-test/slack-webhook")["ARN"]
    yield arn
    secretsmanager.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def assignment(secret: str, tmp_path: Path) -> Assignment:
    return Assignment(secret_arn=secret, region="ap-northeast-2", log=str(tmp_path / "new" / "notifications.log"))


def send(assignment: Assignment, **changes: Any) -> str:
    """Send the message, wait for its child, and return the log's only line without its time."""
    assignment = Assignment(**{**assignment.__dict__, **changes})
    notifier = Notifier(assignment)
    notifier.send(MESSAGE)
    notifier.wait(240)
    (line,) = Path(assignment.log).read_text().splitlines()
    assert TOKEN not in line
    assert LINE in line
    return line.partition(LINE)[2]


def send_here(assignment: Assignment, secretsmanager: Any, **changes: Any) -> str:
    """Run the child's work in this process."""
    outcome = deliver(Assignment(**{**assignment.__dict__, **changes}), MESSAGE, secretsmanager)
    assert TOKEN not in outcome
    return outcome


def test_a_message_arrives_and_leaves_a_line(slack: Slack, assignment: Assignment, secretsmanager: Any) -> None:
    secretsmanager.put_secret_value(SecretId=assignment.secret_arn, SecretString=slack.url + "\n")
    assert send(assignment) == "delivered (HTTP 200 ok, 1 attempt)"
    assert slack.bodies == [{"text": MESSAGE.text}]
    assert slack.paths == [TOKEN]


def test_sending_waits_for_no_answer_and_the_url_is_in_no_argument_or_environment(
    slack: Slack, assignment: Assignment, secretsmanager: Any
) -> None:
    secretsmanager.put_secret_value(SecretId=assignment.secret_arn, SecretString=slack.url)
    slack.may_answer.clear()
    notifier = Notifier(assignment)
    before = children()
    started_at = time.monotonic()
    notifier.send(MESSAGE)
    while not slack.bodies:  # it has the URL now, and holds the connection
        time.sleep(0.01)
        assert time.monotonic() - started_at < 240
    (child,) = children() - before
    for file in ("cmdline", "environ"):
        assert TOKEN not in Path(f"/proc/{child}/{file}").read_text()
    assert os.getsid(child) == child, "no signal of the terminal reaches it"
    slack.may_answer.set()
    notifier.wait(240)


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()}


def test_no_value_sends_nothing_and_says_so(assignment: Assignment) -> None:
    assert send(assignment) == "nothing sent: no webhook is set"


def test_no_such_secret_sends_nothing(assignment: Assignment) -> None:
    assert send(assignment, secret_arn=assignment.secret_arn[:-6] + "XXXXXX") == "nothing sent: no webhook is set"


def test_an_environment_without_a_secret_starts_no_child(assignment: Assignment) -> None:
    before = children()
    assert send(assignment, secret_arn="") == "nothing sent: there is no secret for the webhook"
    assert children() == before


def test_429_waits_as_long_as_slack_asks(slack: Slack, assignment: Assignment, secretsmanager: Any) -> None:
    secretsmanager.put_secret_value(SecretId=assignment.secret_arn, SecretString=slack.url)
    slack.answers = [(429, {"Retry-After": "1"}, "rate_limited"), (200, {}, "ok")]
    assert send_here(assignment, secretsmanager) == "delivered (HTTP 200 ok, 2 attempts)"
    assert slack.at[1] - slack.at[0] >= 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(slack: Slack, assignment: Assignment, secretsmanager: Any, status: int) -> None:
    secretsmanager.put_secret_value(SecretId=assignment.secret_arn, SecretString=slack.url)
    slack.answers = [(status, {}, ""), (200, {}, "ok")]
    assert send_here(assignment, secretsmanager) == "delivered (HTTP 200 ok, 2 attempts)"


def test_server_errors_are_retried_a_bounded_number_of_times(
    slack: Slack, assignment: Assignment, secretsmanager: Any
) -> None:
    secretsmanager.put_secret_value(SecretId=assignment.secret_arn, SecretString=slack.url)
    slack.answers = [(500, {}, f"<html>{slack.url}")]
    assert send_here(assignment, secretsmanager, attempts=3) == "not delivered: HTTP 500, 3 attempts"
    assert len(slack.bodies) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 302])
def test_an_answer_that_will_not_change_is_not_asked_for_again(
    slack: Slack, assignment: Assignment, secretsmanager: Any, status: int
) -> None:
    secretsmanager.put_secret_value(SecretId=assignment.secret_arn, SecretString=slack.url)
    slack.answers = [(status, {"Location": slack.url}, "no_service")]
    assert send_here(assignment, secretsmanager) == f"not delivered: HTTP {status} no_service, 1 attempt"
    assert len(slack.bodies) == 1


def test_a_slow_slack_is_given_up(slack: Slack, assignment: Assignment, secretsmanager: Any) -> None:
    secretsmanager.put_secret_value(SecretId=assignment.secret_arn, SecretString=slack.url)
    slack.delay = 1.0
    outcome = send_here(assignment, secretsmanager, attempts=2, timeout_seconds=0.2)
    assert outcome.startswith("not delivered: ConnectionError (ReadTimeoutError)"), outcome


def test_nothing_lasts_longer_than_the_limit(slack: Slack, assignment: Assignment, secretsmanager: Any) -> None:
    secretsmanager.put_secret_value(SecretId=assignment.secret_arn, SecretString=slack.url)
    slack.answers = [(429, {"Retry-After": "3600"}, "rate_limited")]
    assert send(assignment, limit_seconds=2) == "not delivered: gave up after 2 s"


def test_a_slack_that_is_down_is_named_without_its_address(assignment: Assignment, secretsmanager: Any) -> None:
    url = f"http://127.0.0.1:{closed_port()}{TOKEN}"
    secretsmanager.put_secret_value(SecretId=assignment.secret_arn, SecretString=url)
    assert send_here(assignment, secretsmanager, attempts=2) == "not delivered: ConnectionError (NewConnectionError)"


def test_plain_http_to_elsewhere_is_refused(assignment: Assignment, secretsmanager: Any) -> None:
    secretsmanager.put_secret_value(SecretId=assignment.secret_arn, SecretString=f"http://192.0.2.1{TOKEN}")
    assert send_here(assignment, secretsmanager) == "nothing sent: the webhook is not an https:// address"


def test_a_cloud_that_does_not_answer_is_no_problem_of_the_release(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert send(assignment) == "nothing sent: the webhook cannot be read: EndpointConnectionError"


def test_a_machine_that_starts_no_process_is_no_problem_either(
    assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    assert send(assignment).startswith("not sent: FileNotFoundError")


def test_a_log_that_cannot_be_written_is_no_problem_either(assignment: Assignment, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    Notifier(Assignment(**{**assignment.__dict__, "secret_arn": "", "log": str(tmp_path / "file" / "log")})).send(
        MESSAGE
    )


def test_a_secret_that_may_not_be_read_is_named() -> None:
    class Forbidden:
        def get_secret_value(self, SecretId: str) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": SecretId}}, "GetSecretValue")

    with pytest.raises(NoWebhook, match="cannot be read: AccessDeniedException"):
        read_webhook(Forbidden(), "arn")


def test_a_bug_on_the_way_is_no_problem_either(assignment: Assignment) -> None:
    assert deliver(assignment, MESSAGE, object()) == "not delivered: AttributeError"


def test_an_endpoint_that_is_away_is_named(assignment: Assignment) -> None:
    class Away:
        def get_secret_value(self, SecretId: str) -> None:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    assert deliver(assignment, MESSAGE, Away()) == "nothing sent: the webhook cannot be read: EndpointConnectionError"


def test_a_value_that_is_blank_is_none(secretsmanager: Any, secret: str) -> None:
    secretsmanager.put_secret_value(SecretId=secret, SecretString=" \n")
    with pytest.raises(NoWebhook, match="no webhook is set"):
        read_webhook(secretsmanager, secret)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://hooks.slack.com/services/T/B/x", True),
        ("http://127.0.0.1:8000/x", True),
        ("http://localhost/x", True),
        ("http://[::1]:80/x", True),
        ("http://hooks.slack.com/services/T/B/x", False),
        ("http://127.0.0.1.example.com/x", False),
        ("ftp://127.0.0.1/x", False),
        ("https://", False),
        ("https://[", False),
        ("hooks.slack.com/services/T/B/x", False),
    ],
)
def test_only_addresses_that_keep_a_secret_are_safe(url: str, safe: bool) -> None:
    assert is_safe(url) is safe

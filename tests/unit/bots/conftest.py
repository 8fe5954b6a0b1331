"""The bots in this process, with moto as AWS and a real HTTP server as Slack."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from bots import delivery, invocation
from moto import mock_aws
from moto.core.config import default_user_config

from tests.support.slack import Slack

REGION = "ap-northeast-2"
TABLE = "settlement-test-bots"
PREFIX = "2026-01-31 09:00:01 UTC:10.0.1.17(41234):settlement_app@settlement:[1234]:"


class Context:
    """Lambda's context: the remaining time."""

    def __init__(self, seconds: float = 60) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


class Cloud:
    """The clients, and the content of the queue."""

    def __init__(self, secret_arn: str, queue_url: str) -> None:
        self.secretsmanager = boto3.client("secretsmanager")
        self.sqs = boto3.client("sqs")
        self.dynamodb = boto3.client("dynamodb")
        self.secret_arn, self.queue_url = secret_arn, queue_url

    def set_webhook(self, url: str) -> None:
        self.secretsmanager.put_secret_value(SecretId=self.secret_arn, SecretString=url)
        invocation._webhook.cache_clear()

    def kept(self) -> list[dict[str, Any]]:
        """Return the queue's content, and empty it."""
        found = []
        while batch := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found


@pytest.fixture(scope="module")
def _cloud_of_this_module() -> Iterator[Cloud]:
    """Shared by all tests of a module: creating the clients takes longer than most tests."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        # moto answers only for AWS; a request to this machine passes through.
        with mock_aws(config={**default_user_config, "core": {"passthrough": {"urls": [r"http://127\.0\.0\.1.*"]}}}):
            secret_arn = boto3.client("secretsmanager").create_secret(Name="settlement-test/slack-webhook")["ARN"]
            queue_url = boto3.client("sqs").create_queue(QueueName="settlement-test-undelivered")["QueueUrl"]
            boto3.client("dynamodb").create_table(
                TableName=TABLE,
                KeySchema=[{"AttributeName": "fingerprint", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "fingerprint", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            invocation.client.cache_clear()
            yield Cloud(secret_arn, queue_url)
            invocation.client.cache_clear()


@pytest.fixture(scope="module")
def _slack_of_this_module() -> Iterator[Slack]:
    with Slack() as slack:
        yield slack


@pytest.fixture
def slack(_slack_of_this_module: Slack) -> Slack:
    """A Slack without messages."""
    _slack_of_this_module.forget()
    return _slack_of_this_module


@pytest.fixture
def cloud(_cloud_of_this_module: Cloud, slack: Slack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A cloud with Slack's address in the secret, an empty queue and an empty table; and a bot's environment."""
    cloud = _cloud_of_this_module
    for name, value in {
        "SLACK_WEBHOOK_SECRET_ARN": cloud.secret_arn,
        "UNDELIVERED_QUEUE_URL": cloud.queue_url,
        "DEDUPLICATION_TABLE": TABLE,
        "ENVIRONMENT": "test",
        "APP_NAME": "settlement",
        "AWS_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    # A retry does not wait in a test, unless Slack asks for a pause.
    monkeypatch.setattr(delivery, "BACKOFF_SECONDS", 0.0)
    cloud.set_webhook(slack.url)
    yield cloud
    cloud.kept()
    for item in cloud.dynamodb.scan(TableName=TABLE)["Items"]:
        cloud.dynamodb.delete_item(TableName=TABLE, Key={"fingerprint": item["fingerprint"]})


def subscription(*messages: str, first_id: int = 0, **changes: Any) -> dict[str, Any]:
    """Return the Lambda event of a subscription filter with these log events."""
    data = {
        "messageType": "DATA_MESSAGE",
        "owner": "123456789012",
        "logGroup": "/aws/rds/instance/settlement-test/postgresql",
        "logStream": "settlement-test.0",
        "subscriptionFilters": ["query-bot"],
        "logEvents": [
            {"id": f"{first_id + at:056d}", "timestamp": 1769850001000 + at, "message": message}
            for at, message in enumerate(messages)
        ],
        **changes,
    }
    return packed(json.dumps(data).encode())


def packed(content: bytes) -> dict[str, Any]:
    return {"awslogs": {"data": base64.b64encode(gzip.compress(content, 1)).decode()}}


def slow_line(statement: str, milliseconds: str = "3000.000", prefix: str = PREFIX) -> str:
    """Return a record as RDS for PostgreSQL writes it; further lines begin with a tab."""
    return f"{prefix}LOG:  duration: {milliseconds} ms  statement: {statement}".replace("\n", "\n\t")


Say = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Say:
    """The lines of the function's log since the last call."""

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return read

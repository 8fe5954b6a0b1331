"""Redelivery of a queue's messages (moto's SQS)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from fargate_ops.notify.redelivery import describe, payloads_of, redeliver


class Queue:
    def __init__(self) -> None:
        self.sqs = boto3.client("sqs", "ap-northeast-2", aws_access_key_id="test", aws_secret_access_key="test")
        self.url = self.sqs.create_queue(QueueName="undelivered")["QueueUrl"]

    def keep(self, **record: Any) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(record))

    def count(self) -> tuple[int, int]:
        """Return the number of visible and of hidden messages."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


@pytest.fixture
def queue() -> Iterator[Queue]:
    with mock_aws():
        yield Queue()


def test_what_is_posted_is_deleted_and_the_rest_is_shown(queue: Queue) -> None:
    queue.keep(bot="query-bot", reason="HTTP 503", message={"text": "one"})
    queue.keep(bot="query-bot", reason="no time left", messages=[{"text": "two"}, {"text": "three"}])
    queue.keep(bot="alarm-bot", reason="malformed event: it has no Records", at="2026-01-31", event={"a": "b\nc"})
    posted: list[str] = []

    def post(payload: dict[str, Any]) -> str:
        posted.append(payload["text"])
        return "delivered (HTTP 200 ok, 1 attempt)"

    outcome = redeliver(queue.sqs, queue.url, post)
    assert sorted(posted) == ["one", "three", "two"]
    assert (outcome.delivered, outcome.discarded, outcome.problem) == (2, [], "")
    (line,) = outcome.left
    assert line.startswith("2026-01-31: alarm-bot: malformed event: it has no Records: ")
    assert "\n" not in line
    assert queue.count() == (1, 0)

    assert redeliver(queue.sqs, queue.url, post, discard=True).discarded == [line]
    assert queue.count() == (0, 0)
    assert len(posted) == 3


def test_at_the_first_that_slack_does_not_take_the_rest_stays(queue: Queue) -> None:
    for text in ("one", "two", "three"):
        queue.keep(message={"text": text})
    attempts: list[str] = []

    def post(payload: dict[str, Any]) -> str:
        attempts.append(payload["text"])
        return "not delivered: HTTP 503, 4 attempts" if len(attempts) == 2 else "delivered"

    outcome = redeliver(queue.sqs, queue.url, post)
    assert (outcome.delivered, len(outcome.left)) == (1, 2)
    assert outcome.problem == "not delivered: HTTP 503, 4 attempts"
    assert len(attempts) == 2
    assert queue.count() == (2, 0), "given back at once"


def test_a_look_posts_and_deletes_nothing(queue: Queue) -> None:
    queue.keep(message={"text": "one"})
    queue.keep(event={})
    outcome = redeliver(queue.sqs, queue.url, lambda _: pytest.fail("posted"), discard=True, preview=True)
    assert len(outcome.left) == 2
    assert queue.count() == (2, 0)


@pytest.mark.parametrize(
    "body", ["", "no JSON", "[]", "1", '{"messages": 1}', '{"message": "text"}', '{"message": null}']
)
def test_what_holds_no_message_for_slack_is_only_described(body: str) -> None:
    assert payloads_of(body) == []
    assert "\n" not in describe(body)

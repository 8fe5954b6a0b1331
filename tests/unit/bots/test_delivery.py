"""A message is posted or kept: with a real HTTP server as Slack, which refuses by plan, and moto's queue and secret."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from bots import delivery, invocation, slack
from bots.delivery import Delivery, NotKept, Webhook

from tests.support.ports import closed_port
from tests.support.slack import TOKEN, Answer, Slack
from tests.unit.bots.conftest import Cloud, Say

MESSAGE = slack.payload("hello", [slack.header("hello")])


@pytest.fixture
def way(cloud: Cloud) -> Delivery:
    """The delivery of one invocation, whose pauses take no time."""
    return Delivery(
        bot="query-bot",
        environment="test",
        webhook=Webhook(cloud.secretsmanager, cloud.secret_arn),
        sqs=cloud.sqs,
        queue_url=cloud.queue_url,
        deadline=time.monotonic() + 30,
    )


def test_a_message_is_posted(way: Delivery, slack: Slack, cloud: Cloud) -> None:
    assert way.send(MESSAGE)
    assert slack.messages == [MESSAGE]
    assert cloud.kept() == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(way: Delivery, slack: Slack, status: int) -> None:
    slack.plan(status, status)
    assert way.send(MESSAGE)
    assert len(slack.requests) == 3


def test_429_waits_as_long_as_slack_asks(way: Delivery, slack: Slack) -> None:
    slack.plan(Answer(429, "rate_limited", retry_after=1))
    assert way.send(MESSAGE)
    assert slack.requests[1].at - slack.requests[0].at >= 1


def test_a_pause_longer_than_the_time_left_is_not_waited_for(way: Delivery, slack: Slack, cloud: Cloud) -> None:
    slack.plan(Answer(429, "rate_limited", retry_after=3600))
    started = time.monotonic()
    assert not way.send(MESSAGE)
    assert time.monotonic() - started < 60
    (kept,) = cloud.kept()
    assert kept["reason"] == "no time left, HTTP 429 rate_limited"


def test_retries_are_bounded_then_the_message_is_kept_as_it_would_have_been_posted(
    way: Delivery, slack: Slack, cloud: Cloud
) -> None:
    slack.plan(*[500] * 10)
    assert not way.send(MESSAGE)
    assert len(slack.requests) == delivery.ATTEMPTS
    (kept,) = cloud.kept()
    assert kept["message"] == MESSAGE
    assert (kept["reason"], kept["bot"], kept["environment"]) == ("HTTP 500, 4 attempts", "query-bot", "test")


def test_the_messages_after_one_that_slack_did_not_take_are_kept_at_once(
    way: Delivery, slack: Slack, cloud: Cloud
) -> None:
    slack.plan(*[503] * 10)
    for _ in range(3):
        way.send(MESSAGE)
    assert len(slack.requests) == delivery.ATTEMPTS
    assert len(cloud.kept()) == 3


@pytest.mark.parametrize("answer", [Answer(400, "invalid_blocks"), Answer(302, ""), Answer(413, "<html>")])
def test_an_answer_that_will_not_change_is_not_asked_for_again(
    way: Delivery, slack: Slack, cloud: Cloud, answer: Answer
) -> None:
    slack.plan(answer)
    assert not way.send(MESSAGE)
    assert len(slack.requests) == 1
    assert way.send(MESSAGE), "the next message is another matter"
    (kept,) = cloud.kept()
    assert kept["reason"] == f"HTTP {answer.status}" + (" invalid_blocks" if answer.status == 400 else "")


def test_a_lost_connection_is_tried_again_and_named_without_its_address(way: Delivery, cloud: Cloud, said: Say) -> None:
    cloud.set_webhook(f"http://127.0.0.1:{closed_port()}{TOKEN}")
    assert not way.send(MESSAGE)
    (kept,) = cloud.kept()
    assert kept["reason"] == "no answer: ConnectionRefusedError, 4 attempts"
    assert TOKEN not in json.dumps([kept, said()])


def test_no_webhook_is_said_once_and_every_message_is_kept(way: Delivery, cloud: Cloud, said: Say) -> None:
    way.webhook = Webhook(cloud.secretsmanager, cloud.secret_arn + "-none")
    assert not way.send(MESSAGE)
    assert not way.send(MESSAGE)
    assert [kept["reason"] for kept in cloud.kept()] == ["no webhook is set"] * 2
    assert sum(line["message"] == "no message can be posted" for line in said()) == 1


def test_where_slack_is_not_in_use_nothing_is_kept_without_a_webhook(
    way: Delivery, cloud: Cloud, slack: Slack, said: Say
) -> None:
    way.in_use = False
    way.webhook = Webhook(cloud.secretsmanager, cloud.secret_arn + "-none")
    assert not way.send(MESSAGE)
    assert cloud.kept() == []
    assert said()[-1] == {"message": "skipped", "reason": "Slack is not in use"}
    # With a webhook, it is: what Slack refuses is kept.
    way.webhook = Webhook(cloud.secretsmanager, cloud.secret_arn)
    slack.plan(Answer(400, "invalid_blocks"))
    assert not way.send(MESSAGE)
    assert [kept["reason"] for kept in cloud.kept()] == ["HTTP 400 invalid_blocks"]


def test_plain_http_to_elsewhere_is_refused(way: Delivery, cloud: Cloud, said: Say) -> None:
    cloud.set_webhook(f"http://192.0.2.1{TOKEN}")
    assert not way.send(MESSAGE)
    (kept,) = cloud.kept()
    assert kept["reason"] == "the webhook is not an https:// address"
    assert TOKEN not in json.dumps([kept, said()])


def test_the_webhook_is_read_once_then_again_after_a_while(cloud: Cloud, slack: Slack) -> None:
    now = 0.0
    webhook = Webhook(cloud.secretsmanager, cloud.secret_arn, clock=lambda: now)
    assert webhook.url() == slack.url
    cloud.set_webhook("https://hooks.slack.com/services/new")
    assert webhook.url() == slack.url
    now = delivery.WEBHOOK_SECONDS
    assert webhook.url() == "https://hooks.slack.com/services/new"
    assert "hooks" not in repr(webhook)


def test_a_webhook_that_is_set_at_last_is_found_soon(cloud: Cloud, slack: Slack) -> None:
    now = 0.0
    webhook = Webhook(cloud.secretsmanager, cloud.secret_arn, clock=lambda: now)
    cloud.set_webhook("http://192.0.2.1/")
    with pytest.raises(delivery.NoWebhook):
        webhook.url()
    cloud.set_webhook(slack.url)
    with pytest.raises(delivery.NoWebhook):
        webhook.url()
    now = delivery.NO_WEBHOOK_SECONDS
    assert webhook.url() == slack.url


def test_a_webhook_that_slack_no_longer_takes_is_read_again(way: Delivery, slack: Slack, cloud: Cloud) -> None:
    cloud.set_webhook(slack.url.replace("very-secret", "revoked"))
    way.webhook.url()
    cloud.set_webhook(slack.url)
    assert way.send(MESSAGE)
    assert [request.answer.body for request in slack.requests] == ["no_service", "ok"]


def test_a_revoked_webhook_without_a_new_one_is_asked_once(way: Delivery, slack: Slack, cloud: Cloud) -> None:
    cloud.set_webhook(slack.url.replace("very-secret", "revoked"))
    assert not way.send(MESSAGE)
    assert len(slack.requests) == 1
    assert [kept["reason"] for kept in cloud.kept()] == ["HTTP 404 no_service"]


def test_what_the_queue_does_not_take_either_fails_so_that_lambda_tries_again(way: Delivery, slack: Slack) -> None:
    slack.plan(400)
    way.queue_url += "-gone"
    with pytest.raises(NotKept, match="the queue did not accept it"):
        way.send(MESSAGE)


def test_what_is_too_long_for_the_queue_leaves_its_beginning(way: Delivery, cloud: Cloud, said: Say) -> None:
    way.keep("malformed", event={"data": "x" * 10_000_000})
    (kept,) = cloud.kept()
    assert kept["characters"] > 10_000_000
    assert kept["beginning"].startswith('{"event": {"data": "xxx')
    assert any("too long" in line["message"] for line in said())


def test_many_messages_are_kept_in_few_of_the_queue_and_none_is_lost(way: Delivery, cloud: Cloud) -> None:
    many = [slack.payload(str(at), [slack.code("é" * 2000)]) for at in range(200)]
    way.keep_all("no time left", "messages", many)
    kept = cloud.kept()
    assert len(kept) < 30
    texts = [message["text"] for record in kept for message in record["messages"]]
    assert sorted(texts, key=int) == [str(at) for at in range(200)]


def test_a_client_is_made_once(cloud: Cloud) -> None:
    assert invocation.client("sqs") is invocation.client("sqs")


def test_a_secret_that_may_not_be_read_is_named() -> None:
    class Forbidden:
        def get_secret_value(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "secret words"}}, "GetSecretValue")

    with pytest.raises(delivery.NoWebhook, match=r"^the webhook cannot be read: AccessDeniedException$"):
        Webhook(Forbidden(), "arn").url()

"""A queue's messages are posted to the webhook in a secret, and a failure names the next command."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from fargate_ops.core.problem import CompleteError
from fargate_ops.notify import kept_messages
from fargate_ops.notify.kept_messages import post_kept
from fargate_ops.notify.slack import Assignment

ASSIGNMENT = Assignment(secret_arn="arn:webhook", region="ap-northeast-2", log="")


class Aws:
    """A queue with one message, and a secret."""

    def __init__(self, webhook: str = "https://hooks.example.com/x") -> None:
        self.webhook, self.read = webhook, False
        self.kept = [{"Body": json.dumps({"bot": "alarm-bot", "message": {"text": "one"}}), "ReceiptHandle": "1"}]

    def client(self, _: str) -> Any:
        return self

    def get_secret_value(self, **_: Any) -> Any:
        return {"SecretString": self.webhook}

    def receive_message(self, **_: Any) -> Any:
        messages, self.read = ([] if self.read else [dict(item, MessageId="m1") for item in self.kept]), True
        return {"Messages": messages}

    def delete_message(self, **_: Any) -> None:
        self.kept.clear()

    def change_message_visibility(self, **_: Any) -> None:
        """Messages are always readable here."""


def posted(aws: Aws, *, discard: bool = False, preview: bool = False) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    result = post_kept(
        aws, "q", ASSIGNMENT, said.append, next_command="make redeliver ENV=qa", discard=discard, preview=preview
    )
    return result, said


def test_what_slack_takes_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_messages, "post", lambda *_: "delivered (HTTP 200 ok, 1 attempt)")
    aws = Aws()
    result, said = posted(aws)
    assert result == {"changed": True, "delivered": 1, "left": []}
    assert said == ["1 posted, 0 discarded, 0 left in the queue"]
    assert not aws.kept


def test_what_is_discarded_is_printed() -> None:
    aws = Aws()
    aws.kept = [{"Body": json.dumps({"bot": "alarm-bot", "reason": "malformed event"}), "ReceiptHandle": "r"}]
    _, said = posted(aws, discard=True)
    assert said[0].startswith("discarded: alarm-bot: malformed event")
    assert said[1] == "0 posted, 1 discarded, 0 left in the queue"
    assert not aws.kept


def test_a_preview_reads_no_webhook_and_posts_nothing() -> None:
    aws = Aws(webhook="")
    result, said = posted(aws, preview=True)
    assert (result["changed"], result["delivered"], len(result["left"])) == (False, 0, 1)
    assert said[0].startswith("kept: alarm-bot: one")
    assert aws.kept


def test_without_a_webhook_nothing_is_posted() -> None:
    with pytest.raises(CompleteError, match=r"^Nothing was posted: no webhook is set\. .*then make redeliver ENV=qa$"):
        posted(Aws(webhook=""))


def test_a_message_that_slack_does_not_take_stays_and_the_address_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> str:
        raise requests.ConnectionError("https://hooks.example.com/x")

    monkeypatch.setattr(kept_messages, "post", refuse)
    aws = Aws()
    with pytest.raises(CompleteError) as failed:
        posted(aws)
    expected = "Slack did not take a message: not delivered: ConnectionError. Next: make redeliver ENV=qa"
    assert str(failed.value) == expected
    assert aws.kept

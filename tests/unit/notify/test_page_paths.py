"""A test page through all paths: the output, and its failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fargate_ops.core.problem import CompleteError
from fargate_ops.notify import page_paths
from fargate_ops.notify.kinds import KINDS, message_of
from fargate_ops.notify.page_paths import preview, send
from fargate_ops.notify.slack import Subject
from tests.unit.notify.test_test_page import ALARM, TOPIC, Aws

PAGES = {"urgent": SimpleNamespace(alarm=ALARM, topic_arn=TOPIC)}


class Clients:
    def __init__(self, aws: Aws) -> None:
        self.aws = aws

    def client(self, _: str) -> Any:
        return self.aws


def sent(aws: Aws) -> tuple[dict[str, str], list[str]]:
    said: list[str] = []
    outcomes = send(Clients(aws), PAGES, "qa", "ann", said.append, secret_arn="arn", region="r", wait_seconds=0)
    return outcomes, said


def test_each_path_is_told_and_slack_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_paths, "deliver", lambda *_: "delivered (HTTP 200 ok, 1 attempt)")
    outcomes, said = sent(Aws())
    assert outcomes == {"urgent": "accepted", "release notification": "accepted"}
    assert said[0].startswith("urgent: the topic accepted it")
    assert said[-1] == "qa: test page: 2 accepted (urgent, release notification)"


def test_a_path_that_refuses_fails_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_paths, "deliver", lambda *_: "not delivered: HTTP 404 no_service, 2 attempts")
    with pytest.raises(CompleteError, match=r"1 refused \(release notification\)\. Next: docs/monitoring\.md#undel"):
        sent(Aws())


def test_a_preview_says_who_would_hear_it_and_sets_off_nothing() -> None:
    aws, said = Aws(), list[str]()
    preview(Clients(aws), PAGES, said.append)
    assert said == [
        "would page urgent: email ops@example.com, lambda alarm-bot",
        "would post to Slack as a release does",
    ]
    assert not aws.states
    preview(Clients(Aws(subscribed=[])), PAGES, said.append)
    assert "would page urgent: nobody" in said


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_message_is_made_of_the_values_that_it_needs(kind: str) -> None:
    values = {"reason": "why", "seconds": 41.0, "next_command": "make status", "from_version": "v2", "other": "x"}
    summary = message_of(kind, Subject(environment="qa", version="v1"), values).summary
    assert summary.startswith("qa: ")
    assert "v1" in summary

"""alarm-bot from SNS's event to the message in Slack."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bots import alarm_bot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.slack import Slack, intrusions, shown
from tests.unit.bots.conftest import Cloud, Context

URGENT = "arn:aws:sns:ap-northeast-2:123456789012:settlement-test-urgent"
WARNING = "arn:aws:sns:ap-northeast-2:123456789012:settlement-test-warning"
ALARM = {
    "AlarmName": "settlement-test-error-rate",
    "AlarmDescription": "5 % of the requests fail.\nRunbook: docs/runbooks/errors.md\nNext: make rollback ENV=test",
    "AWSAccountId": "123456789012",
    "NewStateValue": "ALARM",
    "OldStateValue": "OK",
    "NewStateReason": "Threshold Crossed: 1 datapoint [7.0] was >= the threshold (5.0).",
    "StateChangeTime": "2026-01-31T09:00:01.123+0000",
    "Region": "Asia Pacific (Seoul)",
    "AlarmArn": "arn:aws:cloudwatch:ap-northeast-2:123456789012:alarm:settlement-test-error-rate",
    "Trigger": {"MetricName": "x"},
}


@pytest.fixture(autouse=True)
def _urgent_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URGENT_TOPIC_ARN", URGENT)


def sns(*messages: Any, topic: str = URGENT, subject: str | None = "A subject") -> dict[str, Any]:
    texts = [message if isinstance(message, str) else json.dumps(message) for message in messages]
    return {
        "Records": [
            {"EventSource": "aws:sns", "Sns": {"TopicArn": topic, "Subject": subject, "Message": text}}
            for text in texts
        ]
    }


def run(event: Any) -> None:
    alarm_bot.handler(event, Context())


def told(slack: Slack, event: Any) -> str:
    run(event)
    (message,) = slack.messages
    assert intrusions(message) == []
    return shown(message)


@pytest.mark.parametrize(("in_use", "kept"), [("true", ["no webhook is set"]), ("false", [])])
def test_without_a_webhook_an_alarm_is_kept_where_slack_is_in_use(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, in_use: str, kept: list[str]
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_SECRET_ARN", cloud.secret_arn + "-none")
    monkeypatch.setenv("SLACK_IN_USE", in_use)
    run(sns(ALARM))
    assert [record["reason"] for record in cloud.kept()] == kept


def test_an_urgent_alarm_tells_what_to_do(cloud: Cloud, slack: Slack) -> None:
    text = told(slack, sns(ALARM))
    assert ":rotating_light: URGENT: settlement-test-error-rate" in text
    assert "*State*\nALARM (was OK)" in text
    assert "*Since*\n2026-01-31 09:00:01 UTC" in text
    assert "Threshold Crossed: 1 datapoint [7.0] was >= the threshold (5.0)." in text
    assert "5 % of the requests fail." in text
    assert "*Cause:* `make incident ENV=test`" in text
    assert "*Next:* `make rollback ENV=test`" in text
    assert "Runbook: `docs/runbooks/errors.md`" in text
    assert text.count("Runbook:") == text.count("Next:") == 1
    assert (
        "https://ap-northeast-2.console.aws.amazon.com/cloudwatch/home?region=ap-northeast-2"
        "#alarmsV2:alarm/settlement-test-error-rate|Graph" in json.dumps(slack.messages)
    )


def test_another_one_does_not_look_urgent(cloud: Cloud, slack: Slack) -> None:
    text = told(slack, sns(ALARM, topic=WARNING))
    assert ":warning: settlement-test-error-rate" in text
    assert "URGENT" not in text


@pytest.mark.parametrize("topic", [URGENT, WARNING])
def test_what_is_over_looks_over_and_asks_for_nothing(cloud: Cloud, slack: Slack, topic: str) -> None:
    text = told(slack, sns({**ALARM, "NewStateValue": "OK", "OldStateValue": "ALARM"}, topic=topic))
    assert ":large_green_circle: resolved: settlement-test-error-rate" in text
    assert "URGENT" not in text
    assert "Next:" not in text
    assert "make incident" not in text


def test_a_new_alarm_that_finds_nothing_says_nothing(cloud: Cloud, slack: Slack) -> None:
    first = {**ALARM, "NewStateValue": "OK", "OldStateValue": "INSUFFICIENT_DATA"}
    assert "URGENT" in told(slack, sns(first, ALARM))


def test_no_data_is_no_alarm(cloud: Cloud, slack: Slack) -> None:
    text = told(slack, sns({**ALARM, "NewStateValue": "INSUFFICIENT_DATA"}))
    assert ":grey_question: no data: settlement-test-error-rate" in text
    assert "URGENT" not in text


def test_the_command_that_finds_the_cause_is_named_once(cloud: Cloud, slack: Slack) -> None:
    text = told(slack, sns({**ALARM, "AlarmDescription": "Errors.\nNext: make incident ENV=test"}))
    assert text.count("make incident ENV=test") == 1


def test_an_alarm_without_a_description_is_told(cloud: Cloud, slack: Slack) -> None:
    text = told(slack, sns({"AlarmName": "a", "NewStateValue": "ALARM", "AlarmDescription": None}))
    assert "URGENT: a" in text
    assert "Next:" not in text


def test_a_name_with_anything_in_it_has_its_graph(cloud: Cloud, slack: Slack) -> None:
    told(slack, sns({**ALARM, "AlarmName": "5 % / <b>|x"}))
    assert "alarm/5%20%25%20%2F%20%3Cb%3E%7Cx|Graph" in json.dumps(slack.messages)


def test_a_budget_is_told_as_its_text(cloud: Cloud, slack: Slack) -> None:
    text = told(
        slack,
        sns(
            "AWS Budget Notification January 31, 2026\nBudget Name: settlement\nBudgeted Amount: $100.00\nACTUAL > 130",
            topic=WARNING,
            subject="AWS Budgets: settlement has exceeded your alert threshold",
        ),
    )
    assert ":warning: AWS Budgets: settlement has exceeded your alert threshold" in text
    assert "Budgeted Amount: $100.00\nACTUAL > 130" in text


def test_a_cost_anomaly_tells_how_much_and_what(cloud: Cloud, slack: Slack) -> None:
    text = told(
        slack,
        sns(
            {
                "accountId": "123456789012",
                "anomalyId": "579d2f1c",
                "anomalyStartDate": "2026-01-30T00:00:00Z",
                "anomalyDetailsLink": "https://console.aws.amazon.com/cost-management/home#/anomaly-detection/x",
                "dimensionalValue": "AWS Lambda",
                "monitorName": "services",
                "impact": {"totalImpact": 1234.5, "totalActualSpend": 1300, "totalExpectedSpend": "65.5"},
                "rootCauses": [{"service": "AWS Lambda", "region": "ap-northeast-2", "usageType": "GB-Second"}, 5],
            },
            topic=WARNING,
        ),
    )
    for fact in ("cost anomaly: AWS Lambda", "1,234.50 USD", "65.50 USD", "usageType: GB-Second", "Details"):
        assert fact in text


def test_a_link_that_is_not_the_consoles_is_left_out(cloud: Cloud, slack: Slack) -> None:
    text = told(slack, sns({"anomalyId": "1", "anomalyDetailsLink": "https://console.aws.amazon.com.evil.example/"}))
    assert "Details" not in text


def test_a_failed_deployment_says_where_to_look(cloud: Cloud, slack: Slack) -> None:
    event = {
        "source": "aws.ecs",
        "detail-type": "ECS Deployment State Change",
        "resources": ["arn:aws:ecs:ap-northeast-2:123456789012:service/settlement-test/settlement-test-api"],
        "detail": {
            "eventType": "ERROR",
            "eventName": "SERVICE_DEPLOYMENT_FAILED",
            "deploymentId": "ecs-svc/123",
            "updatedAt": "2026-01-31T09:00:01Z",
            "reason": "ECS deployment circuit breaker: task failed to start.",
        },
    }
    text = told(slack, sns(event))
    assert "URGENT: settlement-test-api: deployment failed" in text
    assert "circuit breaker: task failed to start" in text
    assert "*Next:* `make incident ENV=test`" in text


def test_what_nobody_knows_is_told_as_it_is(cloud: Cloud, slack: Slack) -> None:
    assert '"a": "b"' in told(slack, sns({"a": "b"}, subject=None))


def test_each_record_is_told(cloud: Cloud, slack: Slack) -> None:
    run(sns("one", "two"))
    assert len(slack.messages) == 2


@pytest.mark.parametrize("event", [None, 5, [], {}, {"Records": []}, {"Records": [{}]}, {"Records": [{"Sns": {}}]}])
def test_a_malformed_event_is_kept(cloud: Cloud, slack: Slack, event: Any) -> None:
    run(event)
    (kept,) = cloud.kept()
    assert kept["reason"].startswith("malformed event: ")
    assert kept["event"] == event


HOSTILE = st.text(alphabet="<>!&@`*\n\r\x00\u202e\ud800|:%/ herecannl", max_size=80)
names = st.sampled_from([*ALARM, "anomalyId", "impact", "totalImpact", "rootCauses", "anomalyDetailsLink"])
names |= st.sampled_from(["detail-type", "detail", "resources", "eventName", "reason", "updatedAt", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | HOSTILE | st.just("ECS Deployment State Change"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
    max_leaves=12,
)
alarms = st.dictionaries(names, values, max_size=8).map(lambda changes: {**ALARM, **changes})


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(alarms | values | HOSTILE, HOSTILE, st.sampled_from([URGENT, WARNING]))
def test_no_notice_crashes_it_or_gets_into_slack(
    cloud: Cloud, slack: Slack, message: Any, subject: str, topic: str
) -> None:
    slack.forget()
    run(sns(message, topic=topic, subject=subject))
    assert [request.answer.status for request in slack.requests] == [200]
    assert intrusions(slack.messages[0]) == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_no_event_crashes_it(cloud: Cloud, slack: Slack, event: Any) -> None:
    run(event)
    run({"Records": event})
    run({"Records": [{"Sns": event}]})

"""alarm-bot: alarms, budgets, cost anomalies and failed deployments, from SNS to Slack, with the next command.

Messages of the urgent topic are marked urgent, ended alarms as resolved. An alarm that is on has the command that finds
its cause. By this project's convention its description ends with the lines ``Runbook: docs/runbooks/<name>.md`` and
``Next: <exact command>``; both are optional.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bots import slack
from bots.delivery import Delivery
from bots.invocation import Event, Malformed, environment, guarded, subject
from bots.log import say
from bots.values import instant, items, mapping, text

_RUNBOOK = re.compile(r"^[ \t]*Runbook:[ \t]*(\S{1,200})[ \t]*$", re.MULTILINE)
_NEXT = re.compile(r"^[ \t]*Next:[ \t]*(\S[^\n]{0,800})$", re.MULTILINE)
#: The mark of each state; an urgent alarm has its own.
_MARKS = {"ALARM": ":warning:", "OK": ":large_green_circle:", "INSUFFICIENT_DATA": ":grey_question:"}
_URGENT = ":rotating_light: URGENT:"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One SNS message."""

    topic: str
    subject: str
    message: str

    @property
    def is_urgent(self) -> bool:
        return self.topic == os.environ.get("URGENT_TOPIC_ARN", "")


@guarded("alarm-bot")
def handler(event: Event, delivery: Delivery) -> None:
    """Post each notice of one SNS event, except a new alarm's first OK, which ends no reported trouble."""
    for notice in _notices(event):
        if is_first_ok(notice):
            say("skipped", subject=notice.subject, reason="a new alarm's first OK")
        else:
            delivery.send(message(notice))


def _notices(event: Event) -> Iterator[Notice]:
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records:
        raise Malformed("it has no Records")
    notices = []
    for record in records:
        sns = record.get("Sns") if isinstance(record, dict) else None
        if not isinstance(sns, dict) or not isinstance(sns.get("Message"), str):
            raise Malformed("a record has no Sns.Message")
        notices.append(Notice(topic=text(sns, "TopicArn"), subject=text(sns, "Subject"), message=sns["Message"]))
    yield from notices


def is_first_ok(notice: Notice) -> bool:
    """Return whether an alarm is OK after no data. Only a new one is: this project's alarms ignore missing data."""
    body = _json_object(notice.message)
    return body.get("NewStateValue") == "OK" and body.get("OldStateValue") == "INSUFFICIENT_DATA"


def message(notice: Notice) -> slack.Payload:
    """Return the Slack message for a notice; one of an unknown kind is shown as text."""
    body = _json_object(notice.message)
    if "AlarmName" in body and "NewStateValue" in body:
        return _alarm(notice, body)
    if "anomalyId" in body:
        return _anomaly(notice, body)
    if body.get("detail-type") == "ECS Deployment State Change":
        return _deployment(notice, body)
    return _plain(notice)


def _alarm(notice: Notice, alarm: Mapping[str, Any]) -> slack.Payload:
    name, state = text(alarm, "AlarmName"), text(alarm, "NewStateValue")
    description = text(alarm, "AlarmDescription")
    looks = {"OK": "resolved:", "INSUFFICIENT_DATA": "no data:"}.get(state, "")
    mark = _MARKS.get(state, ":grey_question:")
    if state == "ALARM" and notice.is_urgent:
        mark = _URGENT
    region = text(alarm, "AlarmArn").split(":")[3:4]
    graph = slack.console("cloudwatch", "".join(region), f"alarmsV2:alarm/{slack.quoted(name)}")
    blocks = [
        slack.header(" ".join(filter(None, (mark, looks, name)))),
        *slack.fields(
            {"State": _states(alarm), "Since": _since(text(alarm, "StateChangeTime")), "Environment": subject()}
        ),
    ]
    if free := _NEXT.sub("", _RUNBOOK.sub("", description)).strip():
        blocks.append(slack.section(slack.safe(free, 1500)))
    if reason := text(alarm, "NewStateReason").strip():
        blocks.append(slack.code(reason))
    shown = slack.link(graph, "Graph") if graph else ""
    if state == "ALARM" and (command := _find_cause()) and command not in description:
        blocks.append(slack.section(f"*Cause:* {slack.command(command)}"))
    return _finish(f"{mark} {looks} {name}", blocks, shown, description, over=state == "OK")


def _find_cause() -> str:
    """Return the command that names an incident's cause; empty where the bot serves a whole account."""
    return f"make incident ENV={environment()}" if environment() not in ("", "account") else ""


def _states(alarm: Mapping[str, Any]) -> str:
    before, now = text(alarm, "OldStateValue"), text(alarm, "NewStateValue")
    return f"{now} (was {before})" if before and before != now else now


def _anomaly(notice: Notice, anomaly: Mapping[str, Any]) -> slack.Payload:
    """https://docs.aws.amazon.com/cost-management/latest/userguide/ad-SNS.html"""
    what = text(anomaly, "dimensionalValue") or text(anomaly, "monitorName") or "an account"
    mark = _URGENT if notice.is_urgent else ":money_with_wings:"
    impact = mapping(anomaly.get("impact"))
    shown = [
        ", ".join(f"{key}: {value}" for key, value in cause.items() if isinstance(value, str) and value)
        for cause in items(anomaly.get("rootCauses"))[:5]
        if isinstance(cause, dict)
    ]
    blocks = [
        slack.header(f"{mark} cost anomaly: {what}"),
        *slack.fields(
            {
                "Above what was expected": _usd(impact.get("totalImpact")),
                "Spent": _usd(impact.get("totalActualSpend")),
                "Expected": _usd(impact.get("totalExpectedSpend")),
                "Since": text(anomaly, "anomalyStartDate"),
                "Account": text(anomaly, "accountId"),
                "Monitor": text(anomaly, "monitorName"),
            }
        ),
    ]
    if any(shown):
        blocks.append(slack.code("\n".join(filter(None, shown))))
    url = text(anomaly, "anomalyDetailsLink")
    return _finish(f"{mark} cost anomaly: {what}", blocks, slack.link(url, "Details") if _is_console(url) else "")


def _deployment(notice: Notice, event: Mapping[str, Any]) -> slack.Payload:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html"""
    detail = mapping(event.get("detail"))
    name = text(detail, "eventName")
    failed = text(detail, "eventType") == "ERROR" or name.endswith("_FAILED")
    resources = items(event.get("resources"))
    service = str(resources[0]).rpartition("/")[2] if resources else subject()
    mark = (_URGENT if notice.is_urgent else ":warning:") if failed else ":information_source:"
    what = "deployment failed" if failed else (name or "deployment").lower().replace("_", " ")
    blocks = [
        slack.header(f"{mark} {service}: {what}"),
        *slack.fields({"Deployment": text(detail, "deploymentId"), "Since": _since(text(detail, "updatedAt"))}),
    ]
    if reason := text(detail, "reason").strip():
        blocks.append(slack.code(reason))
    return _finish(f"{mark} {service}: {what}", blocks, "", f"Next: {_find_cause()}" if failed else "")


def _plain(notice: Notice) -> slack.Payload:
    """Return the message for a budget's text, an announcement or a notice of an unknown kind."""
    title = notice.subject.strip() or "Notice"
    mark = _URGENT if notice.is_urgent else ":warning:"
    blocks = [slack.header(f"{mark} {title}"), slack.code(_pretty(notice.message).strip() or "(no text)")]
    return _finish(f"{mark} {title}", blocks, "")


def _finish(
    summary: str, blocks: list[slack.Block], link: str, description: str = "", *, over: bool = False
) -> slack.Payload:
    """Return the message with the runbook and, unless the alarm is over, the next command at its end."""
    runbook, command = _RUNBOOK.search(description), _NEXT.search(description)
    small = [link, f"Runbook: {slack.command(runbook[1])}" if runbook else ""]
    if command and not over:
        blocks.append(slack.section(f"*Next:* {slack.command(command[1].strip())}"))
    if any(small):
        blocks.append(slack.context(*filter(None, small)))
    return slack.payload(f"{subject()}: {summary}", blocks)


def _json_object(written: str) -> dict[str, Any]:
    try:
        return mapping(json.loads(written))
    except (ValueError, RecursionError):
        return {}


def _pretty(written: str) -> str:
    body = _json_object(written)
    try:
        return json.dumps(body, indent=2, ensure_ascii=False) if body else written
    except RecursionError:
        return written


def _usd(value: object) -> str:
    try:
        return f"{float(str(value)):,.2f} USD"
    except ValueError:
        return ""


def _since(written: str) -> str:
    at = instant(written)
    return slack.moment(at) if at else written


def _is_console(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.hostname or ""
    return parts.scheme == "https" and (host == "console.aws.amazon.com" or host.endswith(".console.aws.amazon.com"))

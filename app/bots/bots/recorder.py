"""Which resources AWS Config found rather than saw being made.

A recorder's first start announces everything that exists, as CREATE. When it was first started is in no API (after a
restart only the newest start is), so the first start that the bot ever saw is kept in the table: what is made while a
recorder is stopped is told once it runs again.

Silent is what
- was created before that first start;
- was recorded more than a day after its creation: a type that the recorder was only now given, or a long stop;
- has no creation time (some types never have one) and was recorded in the first hour after a start: its inventory.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bots.log import say

BELATED = timedelta(days=1)
INVENTORY = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """When it was first and last started, as far as that is known."""

    first_start: datetime
    last_start: datetime


def skip_reason(recorder: Recorder | None, created: datetime | None, captured: datetime) -> str:
    """Why a creation is not told, or an empty string. Of a recorder that cannot be asked about, everything is told."""
    if created and captured - created > BELATED:
        return f"recorded {captured - created} after its creation"
    if recorder is None:
        return ""
    if created:
        return "older than the recorder" if created < recorder.first_start else ""
    inventory = recorder.last_start <= captured < recorder.last_start + INVENTORY
    return "without a creation time, in the inventory after the recorder's start" if inventory else ""


def read_recorder(config: Any, dynamodb: Any, table: str, name: str) -> Recorder | None:
    """The recorder's starts, or None when there is none, it never ran, or AWS Config does not answer."""
    try:
        answer = config.describe_configuration_recorder_status(ConfigurationRecorderNames=[name])
        started = answer["ConfigurationRecordersStatus"][0]["lastStartTime"].astimezone(UTC)
    except (ClientError, BotoCoreError, LookupError) as error:
        say("the recorder's start is unknown: everything is told", recorder=name, reason=type(error).__name__)
        return None
    try:
        first = min(started, _first_start(dynamodb, table, name, started))
    except (ClientError, BotoCoreError) as error:
        say("the recorder's first start is unknown: the last is used", recorder=name, reason=type(error).__name__)
        first = started
    return Recorder(first_start=first, last_start=started)


def _first_start(dynamodb: Any, table: str, name: str, started: datetime) -> datetime:
    """The first start that was ever seen; this one, if none was. Its item never expires."""
    key = {"fingerprint": {"S": f"recorder:{name}"}}
    item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    if item:
        return datetime.fromtimestamp(float(item["first_start"]["N"]), UTC)
    dynamodb.put_item(TableName=table, Item={**key, "first_start": {"N": repr(started.timestamp())}})
    return started

"""Tell new resources from those that already existed when AWS Config's recorder started.

A recorder's first start announces every existing resource as CREATE. No API shows when that was (after a restart, only
the newest start is shown), so the table keeps the first start that the bot ever saw. A resource created while the
recorder is stopped is reported when it runs again.

A resource is skipped if
- it was created before that first start;
- it was recorded more than a day after its creation: a type newly added to the recorder, or a long stop;
- it has no creation time (some types never have one) and was recorded in the first hour after a start: the inventory.
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
    """When the recorder was first and last started, as far as known."""

    first_start: datetime
    last_start: datetime


def skip_reason(recorder: Recorder | None, created: datetime | None, captured: datetime) -> str:
    """Return why a creation is not reported, or an empty string. Without a recorder, only late records are skipped."""
    if created and captured - created > BELATED:
        return f"recorded {captured - created} after its creation"
    if recorder is None:
        return ""
    if created:
        return "older than the recorder" if created < recorder.first_start else ""
    inventory = recorder.last_start <= captured < recorder.last_start + INVENTORY
    return "without a creation time, in the inventory after the recorder's start" if inventory else ""


def read_recorder(config: Any, dynamodb: Any, table: str, name: str) -> Recorder | None:
    """Return the recorder's starts; None if there is no recorder, it never ran, or AWS Config does not answer."""
    try:
        answer = config.describe_configuration_recorder_status(ConfigurationRecorderNames=[name])
        started = answer["ConfigurationRecordersStatus"][0]["lastStartTime"].astimezone(UTC)
    except (ClientError, BotoCoreError, LookupError) as error:
        say("the recorder's start is unknown: everything is reported", recorder=name, reason=type(error).__name__)
        return None
    try:
        first = min(started, _first_start(dynamodb, table, name, started))
    except (ClientError, BotoCoreError) as error:
        say("the recorder's first start is unknown: the last is used", recorder=name, reason=type(error).__name__)
        first = started
    return Recorder(first_start=first, last_start=started)


def _first_start(dynamodb: Any, table: str, name: str, started: datetime) -> datetime:
    """Return the first start ever seen, which is this one if there is none. Its item never expires."""
    key = {"fingerprint": {"S": f"recorder:{name}"}}
    item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    if item:
        return datetime.fromtimestamp(float(item["first_start"]["N"]), UTC)
    dynamodb.put_item(TableName=table, Item={**key, "first_start": {"N": repr(started.timestamp())}})
    return started

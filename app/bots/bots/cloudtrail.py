"""Find in CloudTrail who created a resource: AWS Config's events do not say it.

``LookupEvents`` finds management events by one attribute, in one region, at most twice a second, and shows an event
some minutes late. A creator that is not found in time is "unknown".
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from bots.log import say
from bots.values import mapping, text

UNKNOWN = "unknown"
#: The times of CloudTrail and AWS Config differ slightly.
AROUND = timedelta(minutes=15)
#: How many names are looked up, and how many pages of each.
NAMES = 3
PAGES = 2
#: Calls that create something begin with these; another call counts only if there is none of them.
_MAKES = ("Create", "Run", "Allocate", "Register", "Import", "Copy", "Restore", "Request", "Put", "Add", "Start")
#: The region with the events of global resources.
GLOBAL_REGION = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class Creation:
    """Who created a resource, and by which call; ``unknown`` and no call if CloudTrail does not show it."""

    who: str = UNKNOWN
    action: str = ""


def who_created(cloudtrail: Any, names: Iterable[str], created: datetime | None, captured: datetime) -> Creation:
    """Return the write event on one of ``names`` nearest to the creation. Calls that create come before all others."""
    window = {"StartTime": (created or captured - AROUND) - AROUND, "EndTime": (created or captured) + AROUND}
    about = created or captured
    best: tuple[tuple[bool, float], Creation] | None = None
    for name in list(dict.fromkeys(filter(None, names)))[:NAMES]:
        try:
            for event in _events(cloudtrail, name, window):
                at = event["EventTime"].astimezone(UTC)
                action = text(event, "EventName")
                rank = (not action.startswith(_MAKES), abs((at - about).total_seconds()))
                if best is None or rank < best[0]:
                    best = rank, Creation(who=_who(event), action=action)
        except (ClientError, BotoCoreError, LookupError, AttributeError, ValueError) as error:
            say("CloudTrail does not answer", reason=type(error).__name__)
            break
        if best:
            break
    return best[1] if best else Creation()


def _events(cloudtrail: Any, name: str, window: Mapping[str, datetime]) -> Iterator[dict[str, Any]]:
    pages = cloudtrail.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "ResourceName", "AttributeValue": name}],
        PaginationConfig={"MaxItems": PAGES * 50, "PageSize": 50},
        **window,
    )
    for page in pages:
        for event in page.get("Events", []):
            if text(event, "ReadOnly").lower() != "true":
                yield event


def _who(event: Mapping[str, Any]) -> str:
    """Return the name of the person or role, as short as is unambiguous."""
    try:
        identity = mapping(mapping(json.loads(text(event, "CloudTrailEvent"))).get("userIdentity"))
    except (ValueError, RecursionError):
        identity = {}
    kind = text(identity, "type")
    if kind == "Root":
        return "root"
    if kind == "AssumedRole":
        role = text(mapping(mapping(identity.get("sessionContext")).get("sessionIssuer")), "userName")
        session = text(identity, "arn").rpartition("/")[2]
        return " as ".join(filter(None, (session, role))) or UNKNOWN
    named = text(identity, "userName") or text(event, "Username") or text(identity, "invokedBy")
    return named or text(identity, "arn") or UNKNOWN

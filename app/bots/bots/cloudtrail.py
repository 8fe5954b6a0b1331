"""Who made a resource, by CloudTrail: AWS Config's own events do not say.

``LookupEvents`` finds management events by one attribute, in one region, twice a second at most, and shows an event
some minutes after it happened. Whoever is not found there in time is "unknown".
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
#: CloudTrail's time and that of AWS Config differ by a little.
AROUND = timedelta(minutes=15)
#: Names that are tried, and pages of each.
NAMES = 3
PAGES = 2
#: What makes a resource is called so; a name that begins otherwise is only believed when there is no such.
_MAKES = ("Create", "Run", "Allocate", "Register", "Import", "Copy", "Restore", "Request", "Put", "Add", "Start")
#: Where the events of what belongs to no region are.
GLOBAL_REGION = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class Creation:
    """Who did it, and by which call; ``unknown`` and nothing when CloudTrail does not tell."""

    who: str = UNKNOWN
    action: str = ""


def who_created(cloudtrail: Any, names: Iterable[str], created: datetime | None, captured: datetime) -> Creation:
    """The write event about one of ``names`` nearest to the creation; one that makes something before all others."""
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
    """A person's or a role's name, as short as it is unmistakable."""
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

"""detection-bot: report each new resource that AWS Config records to Slack, with its creator (H4).

Only ``changeType`` CREATE is reported, once for each creation. Resources that already existed when the recorder started
are not reported (`bots.recorder`). The creator comes from CloudTrail (`bots.cloudtrail`).

For an item that is larger than a notification may be, AWS Config sends a summary, which has no tags:
https://docs.aws.amazon.com/config/latest/developerguide/oversized-notification-example.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bots import slack
from bots.cloudtrail import GLOBAL_REGION, Creation, who_created
from bots.deduplication import Deduplication
from bots.delivery import Delivery
from bots.invocation import Event, Malformed, client, guarded, subject
from bots.log import say
from bots.recorder import read_recorder, skip_reason
from bots.values import digest, instant, items, mapping, text

#: A creation is reported once in this time. EventBridge and Lambda repeat within a day at most.
WINDOW_SECONDS = 14 * 86400.0


@dataclass(frozen=True, kw_only=True)
class Resource:
    """The reported part of a configuration item."""

    type: str
    id: str
    name: str
    arn: str
    region: str
    account: str
    created: datetime | None
    captured: datetime
    state_id: str
    #: None if the event has none: it was too large.
    tags: Mapping[str, str] | None

    @property
    def key(self) -> str:
        """The fingerprint of one creation: a resource created again under its old name has another."""
        made = self.created.isoformat() if self.created else self.state_id
        return f"resource:{digest(self.account, self.region, self.type, self.id, made)}"


@guarded("detection-bot")
def handler(event: Event, delivery: Delivery) -> None:
    """Post one creation; skip every other event of AWS Config."""
    resource = read(event)
    if resource is None:
        return
    dynamodb, table = client("dynamodb"), os.environ["DEDUPLICATION_TABLE"]
    recorder = read_recorder(client("config"), dynamodb, table, os.environ.get("RECORDER_NAME", "default"))
    if reason := skip_reason(recorder, resource.created, resource.captured):
        say("skipped", type=resource.type, id=resource.id, reason=reason)
        return
    deduplication = Deduplication(dynamodb, table, WINDOW_SECONDS, lease_seconds=delivery.seconds_left())
    # EventBridge sometimes delivers an event twice, with the same id; Lambda retries the same event.
    delivery_id = digest(text(event, "id") or resource.key)
    if not deduplication.claim(resource.key, delivery_id).post:
        say("reported before", type=resource.type, id=resource.id)
        return
    cloudtrail = client("cloudtrail", GLOBAL_REGION if resource.region == "global" else resource.region or None)
    creation = who_created(cloudtrail, (resource.id, resource.name, resource.arn), resource.created, resource.captured)
    delivery.send(message(resource, creation))
    deduplication.settle(resource.key, delivery_id)


def read(event: Event) -> Resource | None:
    """Return the created resource, or None for any other change. Raises `Malformed`."""
    detail = event.get("detail") if isinstance(event, dict) else None
    if not isinstance(detail, dict):
        raise Malformed("it has no detail")
    match detail.get("messageType"):
        case "ConfigurationItemChangeNotification":
            difference, item = detail.get("configurationItemDiff"), detail.get("configurationItem")
        case "OversizedConfigurationItemChangeNotification":
            difference = item = detail.get("configurationItemSummary")
        case _:
            return None
    if not isinstance(difference, dict) or not isinstance(item, dict):
        raise Malformed("it has no configuration item, or no difference")
    if difference.get("changeType") != "CREATE":
        return None
    if not text(item, "resourceType") or not text(item, "resourceId"):
        raise Malformed("its configuration item has no type or no id")
    captured = instant(text(item, "configurationItemCaptureTime")) or datetime.now(UTC)
    return Resource(
        type=text(item, "resourceType"),
        id=text(item, "resourceId"),
        name=text(item, "resourceName"),
        arn=text(item, "ARN"),
        region=text(item, "awsRegion"),
        account=text(item, "awsAccountId"),
        created=instant(text(item, "resourceCreationTime")),
        captured=captured,
        state_id=text(item, "configurationStateId"),
        tags=None if item is difference else _tags(item.get("tags")),
    )


def _tags(value: Any) -> dict[str, str]:
    """Return the tags by name. AWS Config writes an object, for some types a list."""
    pairs = [(text(mapping(tag), "key"), text(mapping(tag), "value")) for tag in items(value)]
    return {key: text(mapping(value), key) for key in mapping(value)} | dict(pairs)


def missing_tags(tags: Mapping[str, str]) -> list[str]:
    """Return those of REQUIRED_TAGS that the resource lacks, or has without a value."""
    required = [name.strip() for name in os.environ.get("REQUIRED_TAGS", "").split(",")]
    return [name for name in required if name and not tags.get(name, "").strip()]


def message(resource: Resource, creation: Creation) -> slack.Payload:
    """Return the Slack message for a creation."""
    missing = missing_tags(resource.tags) if resource.tags is not None else []
    called = resource.name if resource.name and resource.name != resource.id else ""
    by = f"{creation.who} ({creation.action})" if creation.action else creation.who
    facts = {
        "Type": resource.type,
        "Id": resource.id,
        "Name": called,
        "Region": resource.region,
        "Account": resource.account,
        "By": by,
        "At": slack.moment(resource.created or resource.captured),
        "Missing tags": ", ".join(missing)
        if resource.tags is not None
        else "not known: the notification was too large",
        "ARN": resource.arn if resource.arn != resource.id else "",
    }
    mark = ":label:" if missing else ":new:"
    where = f"resourceType={resource.type}&resourceId={slack.quoted(resource.id)}"
    timeline = slack.console("config", resource.region, f"/resources/timeline?{where}")
    summary = f"{resource.type} {called or resource.id} created by {creation.who}"
    return slack.payload(
        f"{subject()}: {summary}",
        [
            slack.header(f"{mark} {resource.type} created"),
            *slack.fields(facts),
            *([slack.context(slack.link(timeline, "Its history in AWS Config"))] if timeline else []),
        ],
    )

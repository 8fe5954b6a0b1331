"""rotation-bot: redeploy the service after a secret that its tasks read was changed, and report it to Slack.

Tasks read secrets only when they start. Secrets Manager sends an event for each new current value, whoever set it:
https://docs.aws.amazon.com/secretsmanager/latest/userguide/event-detail-secret-label-updated-secretsmanager.html

The bot deploys nothing if no running task has the old value. So it ignores a rotation by the playbook and a release,
and an event that is delivered twice deploys once.

While somebody else deploys, the bot waits. When its time is over it fails, so that Lambda invokes it again after one
minute, and after two. Then the event goes to the queue of undelivered messages.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from bots import slack
from bots.delivery import Delivery
from bots.invocation import Event, Malformed, client, environment, guarded, region, subject
from bots.log import say
from bots.values import instant, items, mapping, text

#: The event's time has no fraction of a second.
SECOND = timedelta(seconds=1)
#: A running flow renews its lock every ten seconds; other flows take it over after this time (deploy_lock).
STALE_AFTER = timedelta(seconds=180)
#: No running flow writes a heartbeat this far from the time at which S3 stores it (deploy_lock).
LONGEST_SKEW = timedelta(minutes=14)
POLL_SECONDS = 5.0


class Busy(Exception):
    """Somebody else was deploying all the time; the message says who. Lambda retries."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A secret's new current value: its version, and since when."""

    arn: str
    name: str
    version: str
    at: datetime


@guarded("rotation-bot")
def handler(event: Event, delivery: Delivery) -> None:
    """Redeploy the service, once nobody else deploys it.

    Raises:
        Busy: somebody else was deploying until Lambda's time limit.
    """
    change = read(event)
    if change is None:
        return
    ecs, cluster, name = client("ecs"), os.environ["CLUSTER_NAME"], os.environ["SERVICE_NAME"]
    logged = ""
    while True:
        service = find_service(ecs, cluster, name)
        if reason := skip_reason(ecs, service, change):
            say("skipped", secret=change.name, version=change.version, reason=reason)
            return
        holder = lock_holder() or deployment_in_progress(service)
        if not holder:
            break
        if delivery.seconds_left() < 2 * POLL_SECONDS:
            delivery.send(message(change, holder=holder))
            raise Busy(holder)
        if holder != logged:
            say("waiting", secret=change.name, version=change.version, holder=holder)
            logged = holder
        time.sleep(POLL_SECONDS)
    updated = ecs.update_service(cluster=cluster, service=name, forceNewDeployment=True)["service"]
    deployment = text(_primary(updated), "id")
    say("redeployed", secret=change.name, version=change.version, deployment=deployment)
    delivery.send(message(change, deployment=deployment))


def read(event: Event) -> Change | None:
    """Return the change, or None for another label than AWSCURRENT. Raises `Malformed`."""
    detail = event.get("detail") if isinstance(event, dict) else None
    if not isinstance(detail, dict):
        raise Malformed("it has no detail")
    if detail.get("labelUpdated") != "AWSCURRENT":
        return None
    arn, at = "".join(map(str, items(event.get("resources"))[:1])), instant(text(event, "time"))
    if not arn or at is None:
        raise Malformed("it names no secret, or no time")
    return Change(arn=arn, name=text(detail, "name") or arn, version=text(detail, "versionId"), at=at)


def find_service(ecs: Any, cluster: str, name: str) -> dict[str, Any]:
    """Return the service. Raises LookupError if it does not exist."""
    found = ecs.describe_services(cluster=cluster, services=[name])["services"]
    if not found:
        raise LookupError(f"there is no service {name} in the cluster {cluster}")
    return mapping(found[0])


def skip_reason(ecs: Any, service: Mapping[str, Any], change: Change) -> str:
    """Return why no running task has the old value; empty if one may have it."""
    primary = _primary(service)
    if not service["desiredCount"]:
        return "the desired count is 0"
    definition = ecs.describe_task_definition(taskDefinition=primary["taskDefinition"])["taskDefinition"]
    if not any(
        value == change.arn or value.startswith(f"{change.arn}:")
        for container in definition["containerDefinitions"]
        for value in (text(secret, "valueFrom") for secret in container.get("secrets") or [])
    ):
        return "the running task definition does not read it"
    if primary["createdAt"].astimezone(UTC) > change.at + SECOND:
        return f"the deployment {text(primary, 'id')} is newer"
    return ""


def deployment_in_progress(service: Mapping[str, Any]) -> str:
    """Return the deployment in progress, which a new one would replace; empty if there is none."""
    primary = _primary(service)
    return (
        f"the deployment {text(primary, 'id')} is in progress" if text(primary, "rolloutState") == "IN_PROGRESS" else ""
    )


def _primary(service: Mapping[str, Any]) -> dict[str, Any]:
    return next(mapping(item) for item in service["deployments"] if item["status"] == "PRIMARY")


def lock_holder() -> str:
    """Return the owner of the deployment lock, if it is current by S3's clock; empty otherwise.

    ``fargate_ops.state.lock`` writes the lock; this package cannot import it. As there, an object that is no lock
    counts as held until it is stale.
    """
    try:
        answer = client("s3").get_object(Bucket=os.environ["LOCK_BUCKET"], Key=os.environ["LOCK_KEY"])
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket"):
            return ""
        raise
    try:
        lock = mapping(json.loads(answer["Body"].read()))
    except (ValueError, RecursionError):
        lock = {}
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else answer["LastModified"]
    written, heard = answer["LastModified"], instant(text(lock, "heartbeat"))
    if lock.get("released") or now - written >= STALE_AFTER or (heard and abs(written - heard) > LONGEST_SKEW):
        return ""
    return f"{text(lock, 'owner') or 'somebody unknown'}, for {text(lock, 'purpose') or 'an unknown purpose'}"


def message(change: Change, *, deployment: str = "", holder: str = "") -> slack.Payload:
    """Return the Slack message: the service is redeployed, or somebody else was deploying all the time."""
    if deployment:
        mark, what, command = (
            ":key:",
            "a new deployment gives its tasks the new value",
            f"make status ENV={environment()}",
        )
        then = "*Next:*"
    else:
        mark, what = ":warning:", "its tasks still have the old value"
        then = "The bot tries three times in all. To redeploy now:"
        command = (
            f"aws ecs update-service --region {region()} --cluster {os.environ['CLUSTER_NAME']}"
            f" --service {os.environ['SERVICE_NAME']} --force-new-deployment"
        )
    return slack.payload(
        f"{subject()}: a secret was changed, {what}",
        [
            slack.header(f"{mark} a secret was changed"),
            *slack.fields(
                {
                    "Secret": change.name,
                    "Version": change.version,
                    "At": slack.moment(change.at),
                    "Deployment": deployment,
                    "Deploying now": holder,
                }
            ),
            slack.section(f"The service reads it: {what}."),
            slack.section(f"{then} {slack.command(command)}"),
        ],
    )

"""AWS Config records changes of resources and sends them to EventBridge.

What AWS does: a running recorder writes a configuration item for each change of a resource and sends it to EventBridge
(https://docs.aws.amazon.com/config/latest/developerguide/monitor-config-with-cloudwatchevents.html). Changes close to
each other become one item. When the recorder first starts, it also writes an item for each existing resource, as if the
resource were new. CloudTrail, not Config, records who made a change.
Without this patch: the emulator's recorder has a state and records nothing. Its trail contains every call or none.

Only buckets and security groups are recorded here. The trail shows who created a bucket.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud

logger = logging.getLogger(__name__)

BUCKET, SECURITY_GROUP = "AWS::S3::Bucket", "AWS::EC2::SecurityGroup"
SETTLE_SECONDS = 2.0
"""Changes within this time become one item: a new bucket is tagged by a second call."""


@dataclasses.dataclass(frozen=True)
class Resource:
    """One recorded resource: its account, region, type and id."""

    account: str
    region: str
    type: str
    identifier: str


def apply(cloud: Cloud) -> None:
    recorder = Recorder()
    install(Handlers(recorder))
    cloud.at_start(recorder.start)
    cloud.at_stop(recorder.stop)


class Handlers:
    """The calls that change recorded resources."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @extends("s3", "_create_bucket")
    def create_bucket(
        self, create: Handler, name: str, body: bytes, headers: Any = None, endpoint_region: str | None = None
    ) -> Any:
        known = name in emulator.service("s3")._buckets
        answer = create(name, body, headers, endpoint_region)
        if answer[0] == 200 and not known:
            _record_in_trail(name, headers or {})
            self._recorder.changed(BUCKET, name, "CREATE")
        return answer

    @extends("s3", "_put_bucket_tagging")
    @extends("s3", "_put_bucket_policy")
    @extends("s3", "_put_bucket_versioning")
    @extends("s3", "_put_bucket_lifecycle")
    def change_bucket(self, write: Handler, name: str, *arguments: Any) -> Any:
        answer = write(name, *arguments)
        if answer[0] in (200, 204):
            self._recorder.changed(BUCKET, name, "UPDATE")
        return answer

    @extends("ec2", "CreateSecurityGroup")
    def create_security_group(self, create: Handler, params: dict[str, Any]) -> Any:
        ec2 = emulator.service("ec2")
        known = set(ec2._security_groups)
        answer = create(params)
        for identifier in set(ec2._security_groups) - known:
            self._recorder.changed(SECURITY_GROUP, identifier, "CREATE")
        return answer

    @extends("ec2", "AuthorizeSecurityGroupEgress")
    @extends("ec2", "AuthorizeSecurityGroupIngress")
    @extends("ec2", "RevokeSecurityGroupEgress")
    @extends("ec2", "RevokeSecurityGroupIngress")
    def change_security_group(self, change: Handler, params: dict[str, Any]) -> Any:
        answer = change(params)
        if answer[0] == 200:
            self._recorder.changed(SECURITY_GROUP, emulator.service("ec2")._p(params, "GroupId"), "UPDATE")
        return answer

    @extends("config", "_start_configuration_recorder")
    def start_configuration_recorder(self, start: Handler, data: dict[str, Any]) -> Any:
        known = emulator.service("config")._recorders.get(data.get("ConfigurationRecorderName")) or {}
        first = not known.get("lastStartTime")
        answer = start(data)
        if answer[0] == 200 and first:
            for name in emulator.service("s3")._buckets:
                self._recorder.changed(BUCKET, name, "CREATE")
        return answer


class Recorder:
    """Writes items in its own thread, shortly after the change."""

    def __init__(self) -> None:
        self._changes: queue.Queue[tuple[Resource, str] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="config-recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():  # it was never started if the cloud failed to start
            self._changes.put(None)
            self._thread.join(timeout=5)

    def changed(self, type_: str, identifier: str, change: str) -> None:
        """Note a change in the request's account and region, if their recorder records such resources."""
        responses = emulator.core("responses")
        resource = Resource(responses.get_account_id(), responses.get_region(), type_, identifier)
        if any(records(recorder, type_) for recorder in emulator.service("config")._recorders.values()):
            self._changes.put((resource, change))

    def _run(self) -> None:
        pending: dict[Resource, str] = {}
        due = 0.0
        while True:
            try:
                noted = self._changes.get(timeout=max(0.0, due - time.monotonic()) if pending else None)
                if noted is None:
                    return
                if not pending:
                    due = time.monotonic() + SETTLE_SECONDS
                pending.setdefault(*noted)  # a resource that was created and then changed counts as created
            except queue.Empty:
                for resource, change in pending.items():
                    try:
                        _publish(resource, change)
                    except Exception:
                        logger.exception("recording %s failed", resource)
                pending.clear()


def records(recorder: Mapping[str, Any], type_: str) -> bool:
    """Return whether a recorder, as the emulator stores it, records resources of a type."""
    group = recorder["recorder"].get("recordingGroup") or {"allSupported": True}
    chosen: bool = group.get("allSupported", False) or type_ in group.get("resourceTypes", ())
    return chosen and bool(recorder.get("recording"))


def event_detail(resource: Resource, change: str, now: dt.datetime, **of_the_resource: Any) -> dict[str, Any]:
    """Return the event's ``detail``: the item and its difference from the previous item."""
    at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    item = {
        "configurationItemVersion": "1.3",
        "configurationStateId": int(now.timestamp() * 1000),
        "awsAccountId": resource.account,
        "configurationItemCaptureTime": at,
        "configurationItemStatus": "ResourceDiscovered" if change == "CREATE" else "OK",
        "resourceType": resource.type,
        "resourceId": resource.identifier,
        "awsRegion": resource.region,
        "relationships": [],
        "configuration": {},
        "supplementaryConfiguration": {},
        **of_the_resource,
    }
    return {
        "recordVersion": "1.3",
        "messageType": "ConfigurationItemChangeNotification",
        "configurationItemDiff": {"changedProperties": {}, "changeType": change},
        "notificationCreationTime": at,
        "configurationItem": item,
    }


def _publish(resource: Resource, change: str) -> None:
    with emulator.core("responses").request_scope(resource.account, resource.region):
        found = _bucket(resource) if resource.type == BUCKET else _security_group(resource)
        if found is None:
            return  # deleted meanwhile
        detail = event_detail(resource, change, dt.datetime.now(dt.UTC), **found)
        entry = {
            "Source": "aws.config",
            "DetailType": "Config Configuration Item Change",
            "Resources": [found["ARN"]],
            "Detail": json.dumps(detail),
        }
        emulator.service("eventbridge")._put_events({"Entries": [entry]}, allow_aws_source=True)


def _bucket(resource: Resource) -> dict[str, Any] | None:
    s3 = emulator.service("s3")
    bucket = s3._buckets.get(resource.identifier)
    if bucket is None:
        return None
    return {
        "resourceName": resource.identifier,
        "ARN": f"arn:aws:s3:::{resource.identifier}",
        "resourceCreationTime": bucket["created"],
        "tags": dict(s3._bucket_tags.get(resource.identifier, {})),
    }


def _security_group(resource: Resource) -> dict[str, Any] | None:
    ec2 = emulator.service("ec2")
    group = ec2._security_groups.get(resource.identifier)
    if group is None:
        return None
    return {
        "resourceName": group["GroupName"],
        "ARN": f"arn:aws:ec2:{resource.region}:{resource.account}:security-group/{resource.identifier}",
        "tags": {tag["Key"]: tag["Value"] for tag in ec2._tags.get(resource.identifier, [])},
    }


def _record_in_trail(bucket: str, headers: Mapping[str, str]) -> None:
    """Return the trail's event for CreateBucket. `user` is the access key, the only name of the caller here."""
    responses, router = emulator.core("responses"), emulator.core("router")
    key = router.extract_access_key_id(headers, {}) or "unknown"
    emulator.service("cloudtrail").record_event(
        service="s3",
        event_name="CreateBucket",
        username=key,
        access_key_id=key,
        resources=[{"ResourceName": bucket, "ResourceType": BUCKET}],
        region=responses.get_region(),
        request_id=responses.new_uuid(),
        user_agent=headers.get("user-agent", ""),
        request_params={"bucketName": bucket},
        method="PUT",
    )

"""The log of AWS calls: caller, action and resource, one JSON object a line. Off unless ``call_log`` names a file.

On AWS, CloudTrail records this (management events, and S3's data events if a trail includes them). A line has

- ``key`` and ``principal``: the access key of the signature, and its role session (null: the key belongs to no role);
- ``region`` and ``account``;
- ``action``: IAM's name of the action (``s3:ListBucket`` for ListObjectsV2); ``resource``: the resource's ARN, if the
  emulator can derive it;
- ``parameters``: identifiers, ARNs and names in the request; ``request_tags``: the tags in the request;
- ``tags``: the tags of these resources before the call, by identifier.

No other part of a request is written, so the log contains no secret's value.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from local_cloud.core import emulator

Parameters = dict[str, list[str]]

#: Parameters that identify a resource: VpcId, taskRoleArn, DBInstanceIdentifier, LoadBalancerNames, QueueUrl …
_IDENTIFIER = re.compile(
    r"\w*(Id|Identifier|Arn|ARN|Name|Namespace|Dimension|ResourceType|Url|Boundary|Role|Rule)s?"
    r"|clusters?|services?|tasks?|taskDefinition|family|ManageMasterUserPassword|PrivateDnsEnabled"
)
#: List members in forms: Subnets.member.1, SecurityGroupId.2, TagSpecification.1.Tag.1.Key.
_MEMBER = re.compile(r"(\w+?)(?:\.member)?(?:\.\d+)?")
_TAG = re.compile(r"(?:TagSpecification\.\d+\.)?(Tags?(?:\.(?:member|Tag))?\.\d+)\.Key", re.IGNORECASE)
_REGISTRY = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>blobs/uploads|blobs|manifests)(?:/.*)?")

#: The registry's own protocol: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
_REGISTRY_ACTIONS = {
    ("HEAD", "blobs"): "BatchCheckLayerAvailability",
    ("GET", "blobs"): "GetDownloadUrlForLayer",
    ("POST", "blobs/uploads"): "InitiateLayerUpload",
    ("PATCH", "blobs/uploads"): "UploadLayerPart",
    ("PUT", "blobs/uploads"): "CompleteLayerUpload",
    ("HEAD", "manifests"): "BatchGetImage",
    ("GET", "manifests"): "BatchGetImage",
    ("PUT", "manifests"): "PutImage",
}


class CallLog:
    """Appends to a file, from any thread."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        file.parent.mkdir(parents=True, exist_ok=True)

    def write(self, **call: Any) -> None:
        line = json.dumps(call, default=str, sort_keys=True) + "\n"
        with self._lock, self._file.open("a", encoding="utf-8") as stream:
            stream.write(line)


def principal(key: str) -> str | None:
    """Return the ARN of the key's role session, if it has one."""
    session = emulator.service("sts")._sessions.get(key)
    return session.get("Arn") if session else None


def from_json(body: bytes) -> tuple[Parameters, dict[str, str]]:
    """Return the identifiers and the tags in a JSON document."""
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {}, {}
    if not isinstance(document, dict):
        return {}, {}
    return _identifiers(document.items()), dict(_json_tags(document.get("Tags", document.get("tags"))))


def from_form(form: Mapping[str, Iterable[str] | str]) -> tuple[Parameters, dict[str, str]]:
    """Return the identifiers and the tags in a form (the query protocol)."""
    flat = {name: values if isinstance(values, str) else next(iter(values), "") for name, values in form.items()}
    named = ((found[1], value) for name, value in flat.items() if (found := _MEMBER.fullmatch(name)))
    tags = {flat[name]: flat.get(f"{name.removesuffix('Key')}Value", "") for name in flat if _TAG.fullmatch(name)}
    return _identifiers(named), tags


def registry_call(method: str, path: str) -> tuple[str, str] | None:
    """Return action and repository of a request in the registry's own protocol, or None for any other request."""
    found = _REGISTRY.fullmatch(path)
    action = _REGISTRY_ACTIONS.get((method, found["kind"])) if found else None
    return (f"ecr:{action}", found["repository"]) if found and action else None


def _identifiers(items: Iterable[tuple[str, Any]]) -> Parameters:
    found: Parameters = {}
    for name, value in items:
        if _IDENTIFIER.fullmatch(name):
            scalars = [str(item) for item in (value if isinstance(value, list) else [value]) if _scalar(item)]
            if scalars:
                found.setdefault(name, []).extend(scalars)
    return found


def _scalar(value: Any) -> bool:
    return isinstance(value, str | int | bool) and value != ""


def _json_tags(tags: Any) -> Iterator[tuple[str, str]]:
    if isinstance(tags, dict):
        yield from ((str(key), str(value)) for key, value in tags.items())
    for tag in tags if isinstance(tags, list) else []:
        if isinstance(tag, dict):
            lower = {key.lower(): value for key, value in tag.items()}
            key = lower.get("key", lower.get("tagkey"))
            if key is not None:
                yield str(key), str(lower.get("value", lower.get("tagvalue", "")))

"""The image registry: the images and artifacts by tag, and the credentials to push.

Tags and digests come from Amazon ECR's API. An image's configuration (labels, architecture) comes from the registry's
own HTTP API, because ECR's API does not return it.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html#registry_auth_http
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import ipaddress
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.core.problem import ProblemError

#: An architecture's name in Go and in images → in Fargate
FARGATE_ARCHITECTURES = {"amd64": "X86_64", "arm64": "ARM64"}

_ECR_ADDRESS = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
_TIMEOUT_SECONDS = 15
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_EMPTY = "application/vnd.oci.empty.v1+json"


#: The tag of an artifact that refers to an image: `sha256-<digest>.<kind>`.
_BESIDE = re.compile(r"sha256-[0-9a-f]{64}\b")


#: The status of an image without a scan. ECR has no status for it, and raises ScanNotFoundException.
SCAN_NOT_FOUND = "SCAN_NOT_FOUND"


class RepositoryMissingError(Exception):
    """The repository does not exist (yet)."""


@dataclass(frozen=True)
class Credentials:
    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, …)"  # never the password, not even in a traceback


@dataclass(frozen=True)
class Configuration:
    """An image's configuration; `architecture` is the name in Go (``amd64``)."""

    architecture: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Scan:
    """ECR's scan of an image: its status, and the findings of basic or of enhanced scanning as ECR returns them."""

    status: str
    description: str
    basic: Sequence[Mapping[str, Any]]
    enhanced: Sequence[Mapping[str, Any]]


def base_url(address: str) -> str:
    """Return the URL of a registry: ``http`` on this machine, as in Docker, otherwise ``https``."""
    host = address.partition("/")[0].rpartition(":")[0] or address
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = host == "localhost"
    return f"{'http' if loopback else 'https'}://{address}"


def _images(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the images of an index; empty for an image. Attestations in an index have the platform "unknown"."""
    return [item for item in manifest.get("manifests", []) if item.get("platform", {}).get("architecture") != "unknown"]


def _body(error: Exception) -> str:
    """Return the body of a refusal, or an empty string if it cannot be read."""
    if not isinstance(error, urllib.error.HTTPError):
        return ""
    try:
        return error.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return ""


class Registry:
    """A repository at `address`, as ``111122223333.dkr.ecr.ap-northeast-2.amazonaws.com`` or ``localhost:4566``."""

    def __init__(self, address: str, repository: str, ecr: Any) -> None:
        self.address = address
        self.repository = repository
        self._ecr = ecr
        # ECR uses the caller's own registry unless the request has an account's number.
        match = _ECR_ADDRESS.fullmatch(address)
        self._owner = {"registryId": match[1]} if match else {}

    @property
    def name(self) -> str:
        """The repository's name for `docker push`."""
        return f"{self.address}/{self.repository}"

    def digest(self, tag: str) -> str | None:
        """Return the digest under `tag`, or None. Raises RepositoryMissingError, ProblemError."""
        found = self._call(
            "describe_images",
            repositoryName=self.repository,
            imageIds=[{"imageTag": tag}],
            missing={"imageDetails": []},
        )["imageDetails"]
        return str(found[0]["imageDigest"]) if found else None

    def holds(self, digest: str) -> bool:
        """Return whether the registry has the image `digest`. Raises RepositoryMissingError, ProblemError."""
        found = self._call(
            "describe_images",
            repositoryName=self.repository,
            imageIds=[{"imageDigest": digest}],
            missing={"imageDetails": []},
        )["imageDetails"]
        return bool(found)

    def newest_tags(self, limit: int) -> list[str]:
        """Return the most recently pushed tags, newest first. ECR returns at most 1,000 images per page, unordered.

        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
        """
        details: list[dict[str, Any]] = []
        position: dict[str, str] = {}
        while True:
            page = self._call("describe_images", repositoryName=self.repository, maxResults=1000, **position)
            details += page["imageDetails"]
            if not page.get("nextToken"):
                break
            position = {"nextToken": page["nextToken"]}
        details.sort(key=lambda image: image["imagePushedAt"], reverse=True)
        tags = (tag for image in details for tag in image.get("imageTags", []))
        return [tag for tag in tags if not _BESIDE.match(tag)][:limit]

    def scan(self, digest: str) -> Scan:
        """Return the scan of the image `digest`, with the findings of all pages.

        https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html
        """
        basic: list[Mapping[str, Any]] = []
        enhanced: list[Mapping[str, Any]] = []
        position: dict[str, str] = {}
        while True:
            page = self._call(
                "describe_image_scan_findings",
                repositoryName=self.repository,
                imageId={"imageDigest": digest},
                missing={"imageScanStatus": {"status": SCAN_NOT_FOUND}},
                **position,
            )
            found = page.get("imageScanFindings", {})
            basic += found.get("findings", [])
            enhanced += found.get("enhancedFindings", [])
            if not page.get("nextToken"):
                break
            position = {"nextToken": page["nextToken"]}
        status = page.get("imageScanStatus", {})
        return Scan(status.get("status", SCAN_NOT_FOUND), status.get("description", ""), basic, enhanced)

    def images(self, digest: str) -> list[str]:
        """Return the digests of the images that ECR scans: those of an index, because ECR does not scan the index."""
        manifest = self._get(f"manifests/{digest}", self.credentials())
        return [image["digest"] for image in _images(manifest)] or [digest]

    def credentials(self) -> Credentials:
        """Return credentials that are valid for twelve hours, for this registry only."""
        arguments = {"registryIds": list(self._owner.values())} if self._owner else {}
        token = self._call("get_authorization_token", **arguments)["authorizationData"][0]["authorizationToken"]
        username, _, password = base64.b64decode(token).decode().partition(":")
        return Credentials(username, password)

    def configuration(self, digest: str) -> Configuration:
        """Return labels and architecture of the image `digest`."""
        credentials = self.credentials()
        manifest = self._get(f"manifests/{digest}", credentials)
        if images := _images(manifest):
            manifest = self._get(f"manifests/{images[0]['digest']}", credentials)
        config = self._get(f"blobs/{manifest['config']['digest']}", credentials)
        return Configuration(config["architecture"], config.get("config", {}).get("Labels") or {})

    def attach(self, subject: str, tag: str, media_type: str, title: str, content: bytes, created: str) -> None:
        """Store `content` as `tag`, an artifact that refers to the image `subject`, unless another run stored it.

        https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage
        """
        credentials = self.credentials()
        try:
            headers, image = self._open("GET", f"manifests/{subject}", credentials)
            layer = self._put_blob(content, media_type, credentials)
            manifest = {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "artifactType": media_type,
                "config": self._put_blob(b"{}", _EMPTY, credentials),
                "layers": [layer | {"annotations": {"org.opencontainers.image.title": title}}],
                "subject": {"mediaType": headers.get_content_type(), "digest": subject, "size": len(image)},
                "annotations": {"org.opencontainers.image.created": created},
            }
            self._open("PUT", f"manifests/{tag}", credentials, json.dumps(manifest).encode(), _MANIFEST)
        except (OSError, ValueError) as error:
            if self.digest(tag) is None:
                reason = f"{getattr(error, 'reason', error)} {_body(error)}".strip()
                raise ProblemError(
                    f"{title} cannot be stored beside the image: {reason}",
                    f"{self.name}:{tag}",
                    "check that these credentials may push to the repository, then repeat the command",
                ) from error

    def _put_blob(self, content: bytes, media_type: str, credentials: Credentials) -> dict[str, Any]:
        """Upload `content` if the registry does not have it; return its descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        try:
            self._open("HEAD", f"blobs/{digest}", credentials)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            headers, _ = self._open("POST", "blobs/uploads/", credentials, b"")
            place = headers["Location"]
            place += ("&" if "?" in place else "?") + urllib.parse.urlencode({"digest": digest})
            self._open("PUT", place, credentials, content, "application/octet-stream")
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def _get(self, path: str, credentials: Credentials) -> Any:
        try:
            return json.loads(self._open("GET", path, credentials)[1])
        except (OSError, ValueError) as error:
            raise ProblemError(
                f"The registry does not give the image's configuration: {getattr(error, 'reason', error)}.",
                self._url(path),
                "check that this machine reaches the registry, then repeat the command",
            ) from error

    def _url(self, path: str) -> str:
        """Return the URL of a path in the repository's part of the API, or of a complete `Location`."""
        return urllib.parse.urljoin(f"{base_url(self.address)}/v2/{self.repository}/", path)

    def _open(
        self, method: str, path: str, credentials: Credentials, data: bytes | None = None, media_type: str = ""
    ) -> tuple[Message, bytes]:
        """Send one request to the registry's HTTP API; return the response's headers and body. Raises OSError."""
        headers = {"Accept": _ACCEPT} | ({"Content-Type": media_type} if media_type else {})
        request = urllib.request.Request(self._url(path), data, headers, method=method)  # noqa: S310 - http only here
        basic = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
        # Unredirected: ECR redirects a blob to S3, which must not receive this header, and refuses it.
        request.add_unredirected_header("Authorization", f"Basic {basic}")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
                return response.headers, response.read()
        except http.client.HTTPException as error:
            raise OSError(f"a broken answer: {error!r}") from error

    def _call(self, operation: str, missing: Any = None, **arguments: Any) -> Any:
        """Call ECR; return `missing` if the image, or its scan, does not exist."""
        if operation != "get_authorization_token":
            arguments |= self._owner
        try:
            return getattr(self._ecr, operation)(**arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("ImageNotFoundException", "ScanNotFoundException") and missing is not None:
                return missing
            if code == "RepositoryNotFoundException":
                raise RepositoryMissingError(self.repository) from error
            raise ProblemError(
                f"ECR refuses {error.operation_name}: {error.response['Error'].get('Message', code)}",
                self.name,
                "aws sts get-caller-identity  # are these the credentials you meant, and may they use this repository?",
            ) from error
        except BotoCoreError as error:
            raise ProblemError(
                f"The registry's API cannot be asked: {error}",
                self.name,
                "check the credentials and that this machine reaches the endpoint, then repeat the command",
            ) from error

"""The image registry: what is there under a tag, and the credentials to push.

Amazon ECR is asked through its API for tags and digests, and through the registry's own HTTP API for the image's
configuration (labels, architecture), which ECR's API does not show.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html#registry_auth_http
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from roles.preflight.python.problem import ProblemError

#: An architecture's name in Go (and so in images) → in Fargate
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
    """What an image says of itself; `architecture` as Go names it (``amd64``)."""

    architecture: str
    labels: Mapping[str, str]


def base_url(address: str) -> str:
    """``http`` for a registry on this machine, as Docker does, ``https`` for every other."""
    host = address.partition("/")[0].rpartition(":")[0] or address
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = host == "localhost"
    return f"{'http' if loopback else 'https'}://{address}"


class Registry:
    """One repository at `address`, as ``111122223333.dkr.ecr.ap-northeast-2.amazonaws.com`` or ``localhost:4566``."""

    def __init__(self, address: str, repository: str, ecr: Any) -> None:
        self.address = address
        self.repository = repository
        self._ecr = ecr
        # A registry of another account is asked by its number; without it ECR looks in the caller's own.
        match = _ECR_ADDRESS.fullmatch(address)
        self._owner = {"registryId": match[1]} if match else {}

    @property
    def name(self) -> str:
        """What `docker push` calls it."""
        return f"{self.address}/{self.repository}"

    def digest(self, tag: str) -> str | None:
        """The digest under `tag`, or None. Raises RepositoryMissingError, ProblemError."""
        found = self._call(
            "describe_images",
            repositoryName=self.repository,
            imageIds=[{"imageTag": tag}],
            missing={"imageDetails": []},
        )["imageDetails"]
        return str(found[0]["imageDigest"]) if found else None

    def holds(self, digest: str) -> bool:
        """Whether the image `digest` is there. Raises RepositoryMissingError, ProblemError."""
        found = self._call(
            "describe_images",
            repositoryName=self.repository,
            imageIds=[{"imageDigest": digest}],
            missing={"imageDetails": []},
        )["imageDetails"]
        return bool(found)

    def newest_tags(self, limit: int) -> list[str]:
        """The tags pushed last, newest first."""
        details = self._call("describe_images", repositoryName=self.repository, maxResults=1000)["imageDetails"]
        details.sort(key=lambda image: image["imagePushedAt"], reverse=True)
        return [tag for image in details for tag in image.get("imageTags", [])][:limit]

    def credentials(self) -> Credentials:
        """Valid for twelve hours, for this registry only."""
        arguments = {"registryIds": list(self._owner.values())} if self._owner else {}
        token = self._call("get_authorization_token", **arguments)["authorizationData"][0]["authorizationToken"]
        username, _, password = base64.b64decode(token).decode().partition(":")
        return Credentials(username, password)

    def configuration(self, digest: str) -> Configuration:
        """Labels and architecture of the image `digest`."""
        credentials = self.credentials()
        manifest = self._get(f"manifests/{digest}", credentials)
        if "manifests" in manifest:  # an index; attestations in it have the platform "unknown"
            images = [m for m in manifest["manifests"] if m.get("platform", {}).get("architecture") != "unknown"]
            manifest = self._get(f"manifests/{images[0]['digest']}", credentials)
        config = self._get(f"blobs/{manifest['config']['digest']}", credentials)
        return Configuration(config["architecture"], config.get("config", {}).get("Labels") or {})

    def _get(self, path: str, credentials: Credentials) -> Any:
        url = f"{base_url(self.address)}/v2/{self.repository}/{path}"
        request = urllib.request.Request(url, headers={"Accept": _ACCEPT})  # noqa: S310 - http only on this machine
        basic = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
        # Unredirected: ECR answers a blob with a redirect to S3, which must not see (and refuses) this header.
        request.add_unredirected_header("Authorization", f"Basic {basic}")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
                return json.load(response)
        except (OSError, ValueError) as error:
            raise ProblemError(
                f"The registry does not give the image's configuration: {getattr(error, 'reason', error)}.",
                url,
                "check that this machine reaches the registry, then repeat the command",
            ) from error

    def _call(self, operation: str, missing: Any = None, **arguments: Any) -> Any:
        """One ECR call; `missing` is the answer when the image is not there."""
        if operation == "describe_images":
            arguments |= self._owner
        try:
            return getattr(self._ecr, operation)(**arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ImageNotFoundException" and missing is not None:
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

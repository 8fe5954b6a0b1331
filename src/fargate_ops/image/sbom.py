"""The software bill of materials of an image, CycloneDX 1.6: its dpkg and pip packages, and its base image.

It is read from the image itself, so it is correct whatever the Dockerfile and the base image did.
https://cyclonedx.org/docs/1.6/json/ · https://github.com/package-url/purl-spec
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any
from urllib.parse import quote

MEDIA_TYPE = "application/vnd.cyclonedx+json"
TITLE = "sbom.cdx.json"
_DPKG, _OS_RELEASE = "var/lib/dpkg/status", "usr/lib/os-release"
_METADATA = re.compile(r"\.dist-info/METADATA$")
_LICENSE_LENGTH = 64  # a longer field contains the license's text


@dataclass(frozen=True)
class Subject:
    """The image. `repository` is without the registry, `base_image` as in FROM, `variables` is its environment."""

    repository: str
    version: str
    digest: str
    architecture: str
    created: datetime
    base_image: str
    variables: Mapping[str, str]


def tag(digest: str) -> str:
    """Return the tag of the bill of materials of the image ``sha256:…``. Without a tag it would expire."""
    return f"{digest.replace(':', '-')}.sbom"


def wanted(path: str) -> bool:
    """Return whether a file of the image is input of the bill of materials."""
    return path in (_DPKG, _OS_RELEASE) or _METADATA.search(path) is not None


def document(subject: Subject, files: Mapping[str, bytes]) -> bytes:
    """Return the document, the same bytes for the same image. `files` is by path without the leading slash."""
    release = _os_release(files.get(_OS_RELEASE, b""))
    components = [
        *_base(subject, release),
        *_packages(files.get(_DPKG, b""), release),
        *_distributions(content for path, content in files.items() if _METADATA.search(path)),
    ]
    unique = {component["bom-ref"]: component for component in components}
    image = _purl("oci", subject.repository.rpartition("/")[2], subject.digest, arch=subject.architecture)
    described = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, image)}",
        "version": 1,
        "metadata": {
            "timestamp": subject.created.isoformat(),
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": subject.repository,
                "version": subject.version,
                "purl": image,
            },
        },
        "components": [unique[reference] for reference in sorted(unique)],
        "dependencies": [{"ref": image, "dependsOn": sorted(unique)}],
    }
    return json.dumps(described, indent=1).encode() + b"\n"


def count(content: bytes) -> str:
    """Return the number of a document's packages by kind, as ``94 of Debian, 30 of Python``."""
    purls = [component.get("purl", "") for component in json.loads(content)["components"]]
    deb, pypi = (sum(purl.startswith(f"pkg:{kind}/") for purl in purls) for kind in ("deb", "pypi"))
    return f"{deb} of Debian, {pypi} of Python"


def _base(subject: Subject, release: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    name, _, digest = subject.base_image.partition("@")
    name = name.rpartition("/")[2]
    if name:
        component = {"type": "container", "bom-ref": f"base:{subject.base_image}", "name": name}
        if digest:
            component |= {"version": digest, "purl": _purl("oci", name.partition(":")[0], digest)}
        yield component
    if release:
        system = {"type": "operating-system", "bom-ref": "os", "name": release.get("ID", "linux")}
        yield system | ({"version": release["VERSION_ID"]} if "VERSION_ID" in release else {})
    # The official image builds its Python from source, so no package manager lists it.
    if version := subject.variables.get("PYTHON_VERSION"):
        purl = _purl("generic", "cpython", version)
        cpe = f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*"
        yield _library("cpython", version, purl) | {"type": "platform", "cpe": cpe}


def _packages(status: bytes, release: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """https://www.debian.org/doc/debian-policy/ch-controlfields.html"""
    system = release.get("ID", "debian")
    distribution = f"{system}-{release['VERSION_ID']}" if "VERSION_ID" in release else system
    for paragraph in status.split(b"\n\n"):
        package = BytesHeaderParser().parsebytes(paragraph.lstrip())
        if package.get("Status", "").endswith(" installed"):
            name, version = package["Package"], package["Version"]
            purl = _purl("deb", f"{system}/{name}", version, arch=package["Architecture"], distro=distribution)
            yield _library(name, version, purl)


def _distributions(metadata: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """https://packaging.python.org/en/latest/specifications/core-metadata/"""
    for content in metadata:
        package = BytesHeaderParser().parsebytes(content)
        if not package["Name"] or not package["Version"]:
            continue
        name = re.sub(r"[-_.]+", "-", package["Name"]).lower()
        yield _library(name, package["Version"], _purl("pypi", name, package["Version"])) | _license(package)


def _license(package: Message) -> dict[str, Any]:
    if expression := package.get("License-Expression"):
        return {"licenses": [{"expression": expression}]}
    text = (package.get("License") or "").strip()
    if text and len(text) <= _LICENSE_LENGTH and "\n" not in text:
        return {"licenses": [{"license": {"name": text}}]}
    return {}


def _library(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _purl(kind: str, name: str, version: str, **qualifiers: str) -> str:
    suffix = "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(qualifiers.items()) if value)
    return f"pkg:{kind}/{quote(name, safe='/')}@{quote(version, safe='')}" + (f"?{suffix}" if suffix else "")


def _os_release(content: bytes) -> dict[str, str]:
    """https://www.freedesktop.org/software/systemd/man/latest/os-release.html"""
    pairs = re.findall(r'^(\w+)="?([^"\n]*)"?$', content.decode(errors="replace"), re.MULTILINE)
    return dict(pairs)

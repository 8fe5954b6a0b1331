from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from fargate_ops.image import sbom

SUBJECT = sbom.Subject(
    repository="team/settlement",
    version="0123456789ab",
    digest="sha256:" + "a" * 64,
    architecture="amd64",
    created=datetime(2026, 1, 31, tzinfo=UTC),
    base_image="docker.io/library/python:3.13-slim-trixie@sha256:" + "b" * 64,
    variables={"PYTHON_VERSION": "3.13.9"},
)
FILES = {
    "usr/lib/os-release": b'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n',
    "var/lib/dpkg/status": (
        b"Package: libstdc++6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 14.2.0-19\n\n"
        b"Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n"
        b"Package: tzdata\nStatus: install ok installed\nArchitecture: all\nVersion: 1:2025b-4\n\n"
    ),
    "opt/venv/lib/python3.13/site-packages/SQLAlchemy-2.0.44.dist-info/METADATA": (
        b"Metadata-Version: 2.4\nName: SQLAlchemy\nVersion: 2.0.44\nLicense-Expression: MIT\n\nVersion: of the prose\n"
    ),
    "usr/local/lib/python3.13/site-packages/pip-25.3.dist-info/METADATA": (
        b"Name: pip\nVersion: 25.3\nLicense: Copyright (c) 2008-present The pip developers\n  Permission is hereby\n"
    ),
}


def made(files: dict[str, bytes] = FILES, subject: sbom.Subject = SUBJECT) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(sbom.document(subject, files))
    return content


def test_what_is_installed_is_named_by_its_package_url() -> None:
    assert {component.get("purl", component["bom-ref"]) for component in made()["components"]} == {
        "os",
        "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=debian-13",
        "pkg:deb/debian/tzdata@1%3A2025b-4?arch=all&distro=debian-13",
        "pkg:generic/cpython@3.13.9",
        f"pkg:oci/python@sha256%3A{'b' * 64}",
        "pkg:pypi/pip@25.3",
        "pkg:pypi/sqlalchemy@2.0.44",
    }
    assert sbom.count(sbom.document(SUBJECT, FILES)) == "2 of Debian, 2 of Python"


def test_it_says_which_image_and_is_the_same_each_time() -> None:
    document = made()
    image = document["metadata"]["component"]
    assert (image["name"], image["version"]) == ("team/settlement", "0123456789ab")
    assert image["purl"] == f"pkg:oci/settlement@sha256%3A{'a' * 64}?arch=amd64"
    assert document["metadata"]["timestamp"] == "2026-01-31T00:00:00+00:00"
    assert sbom.document(SUBJECT, FILES) == sbom.document(SUBJECT, dict(reversed(FILES.items())))


def test_a_license_is_an_expression_or_a_short_name() -> None:
    licenses = {component["name"]: component.get("licenses") for component in made()["components"]}
    assert licenses["sqlalchemy"] == [{"expression": "MIT"}]
    assert licenses["pip"] is None, "a whole text is none"


def test_an_image_of_nothing_names_its_base() -> None:
    (base,) = made({}, sbom.Subject(**{**SUBJECT.__dict__, "base_image": "scratch", "variables": {}}))["components"]
    assert (base["name"], base.get("version")) == ("scratch", None)


@pytest.mark.parametrize(
    ("path", "read"), [*((path, True) for path in FILES), ("etc/passwd", False), ("opt/a.dist-info/RECORD", False)]
)
def test_no_other_file_is_read(path: str, read: bool) -> None:
    assert sbom.wanted(path) == read

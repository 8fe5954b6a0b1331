"""src/local_cloud/account/ecr_scans.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fargate_ops.image.registry import SCAN_NOT_FOUND, Registry
from tests.local_cloud.conftest import RunningCloud

pytestmark = pytest.mark.local_cloud


@pytest.fixture
def file(cloud: RunningCloud) -> Iterator[Path]:
    path = cloud.config.work_dir / "image_scans.json"
    yield path
    path.unlink(missing_ok=True)


def pushed(ecr: Any, name: str, *, scan: bool) -> str:
    ecr.create_repository(repositoryName=name, imageScanningConfiguration={"scanOnPush": scan})
    image = ecr.put_image(repositoryName=name, imageTag="1", imageManifest=json.dumps({"schemaVersion": 2, "of": name}))
    return str(image["image"]["imageId"]["imageDigest"])


def test_an_image_is_scanned_if_the_repository_scans_on_push(cloud: RunningCloud, file: Path) -> None:
    ecr = cloud.client("ecr")
    digest = pushed(ecr, "scanned", scan=True)
    answer = ecr.describe_image_scan_findings(repositoryName="scanned", imageId={"imageTag": "1"})
    assert answer["imageScanStatus"]["status"] == "COMPLETE"
    assert answer["imageId"]["imageDigest"] == digest
    assert answer["imageScanFindings"]["findings"] == []
    other = pushed(ecr, "unscanned", scan=False)
    with pytest.raises(ClientError, match="ScanNotFoundException"):
        ecr.describe_image_scan_findings(repositoryName="unscanned", imageId={"imageDigest": other})
    assert Registry("localhost", "unscanned", ecr).scan(other).status == SCAN_NOT_FOUND
    with pytest.raises(ClientError, match="ImageNotFoundException"):
        ecr.describe_image_scan_findings(repositoryName="scanned", imageId={"imageTag": "2"})
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        ecr.describe_image_scan_findings(repositoryName="missing", imageId={"imageTag": "1"})


def test_a_scan_of_the_file_is_returned_in_pages(cloud: RunningCloud, file: Path) -> None:
    ecr = cloud.client("ecr")
    digest = pushed(ecr, "found", scan=True)
    basic = [{"name": f"CVE-{number}", "severity": "LOW"} for number in range(250)]
    enhanced = [{"title": "CVE-1", "severity": "CRITICAL", "fixAvailable": "YES"}]
    findings = {"findings": basic, "enhancedFindings": enhanced, "findingSeverityCounts": {"LOW": 250}}
    file.write_text(json.dumps({digest: {"imageScanStatus": {"status": "ACTIVE"}, "imageScanFindings": findings}}))
    scan = Registry("localhost", "found", ecr).scan(digest)
    assert scan.status == "ACTIVE"
    assert [item["name"] for item in scan.basic] == [item["name"] for item in basic]
    assert list(scan.enhanced) == enhanced
    file.write_text(json.dumps({"*": {"imageScanStatus": {"status": "PENDING", "description": "Scan is pending"}}}))
    scan = Registry("localhost", "found", ecr).scan(digest)
    assert (scan.status, scan.description, scan.basic) == ("PENDING", "Scan is pending", [])
    file.write_text(json.dumps({"*": None}))
    assert Registry("localhost", "found", ecr).scan(digest).status == SCAN_NOT_FOUND

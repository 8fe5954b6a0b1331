"""ECR returns the findings of an image's scan.

What AWS does: an image that is pushed into a repository with ``scanOnPush`` is scanned, and DescribeImageScanFindings
returns the status and the findings in pages. An image without a scan is a ScanNotFoundException
(https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html). With basic scanning the
status ends as COMPLETE and the findings are in ``findings``; with enhanced scanning it is ACTIVE, and they are in
``enhancedFindings`` (https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html).

Without this patch: the emulator does not know the action.

Nothing is scanned: a scan finds nothing. ``image_scans.json`` in the cloud's folder gives an image another result: an
object by digest, or ``*`` for each image, with ``imageScanStatus`` and ``imageScanFindings`` as ECR returns them, or
null for no scan.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.patching import Handler, extends, install
from local_cloud.core.runtime import Cloud

FILE = "image_scans.json"
_ACTION = "AmazonEC2ContainerRegistry_V20150921.DescribeImageScanFindings"
_PAGE = 100
_CLEAN = {
    "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
    "imageScanFindings": {"findings": [], "findingSeverityCounts": {}},
}


def apply(cloud: Cloud) -> None:
    install(Handlers(cloud.config.work_dir / FILE))


class Handlers:
    """Answers with the scans of a file, which a test may write while the cloud runs."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @extends("ecr", "handle_request")
    async def handle_request(
        self, handle: Handler, method: str, path: str, headers: dict[str, str], body: bytes, query: Any
    ) -> Any:
        if headers.get("x-amz-target") == _ACTION:
            return self._describe(json.loads(body))
        return await handle(method, path, headers, body, query)

    def _describe(self, request: dict[str, Any]) -> Any:
        ecr, responses = emulator.service("ecr"), emulator.core("responses")
        name, wanted = request["repositoryName"], request["imageId"]
        repository = ecr._repositories.get(name)
        if repository is None:
            message = f"The repository with name '{name}' does not exist"
            return responses.error_response_json("RepositoryNotFoundException", message, 400)
        image = ecr._find_image(name, wanted)
        if image is None:
            message = f"The image with imageId {wanted} does not exist within the repository with name '{name}'"
            return responses.error_response_json("ImageNotFoundException", message, 400)
        scans = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        scanned = _CLEAN if repository.get("imageScanningConfiguration", {}).get("scanOnPush") else None
        scan = scans.get(image["imageDigest"], scans.get("*", scanned))
        if scan is None:
            message = f"Image scan does not exist for the image with '{wanted}' in the repository with name '{name}'"
            return responses.error_response_json("ScanNotFoundException", message, 400)
        start = int(request.get("nextToken") or 0)
        return responses.json_response(
            {
                "registryId": ecr._registry_id(),
                "repositoryName": name,
                "imageId": {"imageDigest": image["imageDigest"]},
                "imageScanStatus": scan["imageScanStatus"],
                **page(scan.get("imageScanFindings"), start, int(request.get("maxResults") or _PAGE)),
            }
        )


def page(findings: dict[str, Any] | None, start: int, size: int) -> dict[str, Any]:
    """Return a page of the findings, with ``nextToken`` if there are more; nothing while there is no result."""
    if findings is None:
        return {}
    lists = [key for key in ("findings", "enhancedFindings") if key in findings]
    answer: dict[str, Any] = {
        "imageScanFindings": findings | {key: findings[key][start : start + size] for key in lists}
    }
    if any(len(findings[key]) > start + size for key in lists):
        answer["nextToken"] = str(start + size)
    return answer

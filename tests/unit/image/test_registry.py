from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from fargate_ops.core.problem import ProblemError
from fargate_ops.image.registry import SCAN_NOT_FOUND, Credentials, Registry, RepositoryMissingError, base_url

AWS = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com"
LATER, EARLIER = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def ecr() -> Iterator[Stubber]:
    client = boto3.client("ecr", region_name="ap-northeast-2", aws_access_key_id="k", aws_secret_access_key="s")
    with Stubber(client) as stubber:
        yield stubber


def registry(ecr: Stubber, address: str = "localhost:4566") -> Registry:
    return Registry(address, "settlement", ecr.client)


def allow_credentials(ecr: Stubber, times: int = 1) -> None:
    token = base64.b64encode(b"AWS:top-secret").decode()
    for _ in range(times):
        ecr.add_response("get_authorization_token", {"authorizationData": [{"authorizationToken": token}]})


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("localhost:4566", "http://localhost:4566"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("127.8.8.8", "http://127.8.8.8"),
        ("[::1]:5000", "http://[::1]:5000"),
        (AWS, f"https://{AWS}"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000"),
    ],
)
def test_plain_http_is_for_this_machine_only(address: str, url: str) -> None:
    assert base_url(address) == url


def test_the_digest_of_a_tag(ecr: Stubber) -> None:
    ecr.add_response(
        "describe_images",
        {"imageDetails": [{"imageDigest": "sha256:aa"}]},
        {"registryId": "111122223333", "repositoryName": "settlement", "imageIds": [{"imageTag": "v1"}]},
    )
    assert registry(ecr, AWS).digest("v1") == "sha256:aa"
    assert registry(ecr, AWS).name == f"{AWS}/settlement"


def test_a_tag_that_is_not_there(ecr: Stubber) -> None:
    ecr.add_client_error("describe_images", "ImageNotFoundException")
    assert registry(ecr).digest("v1") is None


def test_a_repository_that_is_not_there(ecr: Stubber) -> None:
    ecr.add_client_error("describe_images", "RepositoryNotFoundException")
    with pytest.raises(RepositoryMissingError):
        registry(ecr).digest("v1")


def test_a_refusal_is_told_in_ecrs_words(ecr: Stubber) -> None:
    ecr.add_client_error("describe_images", "AccessDeniedException", "not authorized to perform: ecr:DescribeImages")
    with pytest.raises(ProblemError, match="ecr:DescribeImages"):
        registry(ecr).digest("v1")


def test_a_refusal_of_newest_tags_is_not_taken_for_none(ecr: Stubber) -> None:
    ecr.add_client_error("describe_images", "ImageNotFoundException", "odd")
    with pytest.raises(ProblemError, match="odd"):
        registry(ecr).newest_tags(3)


def test_no_credentials_are_an_error_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    client = boto3.Session(region_name="ap-northeast-2").client("ecr")
    with pytest.raises(ProblemError, match="credentials"):
        Registry(AWS, "settlement", client).digest("v1")


def test_the_newest_tags_come_first(ecr: Stubber) -> None:
    ecr.add_response(
        "describe_images",
        {
            "imageDetails": [
                {"imageTags": ["old"], "imagePushedAt": EARLIER},
                {"imageTags": [f"sha256-{'0' * 64}.sbom"], "imagePushedAt": LATER},  # no version
                {"imagePushedAt": LATER},  # untagged
                {"imageTags": ["new", "same"], "imagePushedAt": LATER},
            ]
        },
    )
    assert registry(ecr).newest_tags(2) == ["new", "same"]


def test_the_newest_of_more_than_a_thousand_images_may_be_on_another_page(ecr: Stubber) -> None:
    page = {"repositoryName": "settlement", "maxResults": 1000}
    ecr.add_response(
        "describe_images",
        {"imageDetails": [{"imageTags": ["old"], "imagePushedAt": EARLIER}], "nextToken": "more"},
        page,
    )
    ecr.add_response(
        "describe_images",
        {"imageDetails": [{"imageTags": ["new"], "imagePushedAt": LATER}]},
        page | {"nextToken": "more"},
    )
    assert registry(ecr).newest_tags(2) == ["new", "old"]


def test_credentials_never_show_the_password(ecr: Stubber) -> None:
    token = base64.b64encode(b"AWS:top-secret").decode()
    ecr.add_response(
        "get_authorization_token",
        {"authorizationData": [{"authorizationToken": token}]},
        {"registryIds": ["111122223333"]},
    )
    credentials = registry(ecr, AWS).credentials()
    assert (credentials.username, credentials.password) == ("AWS", "top-secret")
    assert "top-secret" not in repr(credentials)


class _RegistryApi(http.server.BaseHTTPRequestHandler):
    """The required part of the registry's HTTP API. It redirects for a blob, as ECR does to S3."""

    documents: dict[str, Any] = {}
    seen: list[tuple[str, str | None]] = []
    #: The connection ends before the body does.
    cut = False

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        if self.path == "/v2/settlement/blobs/sha256:config":
            self.send_response(307)
            self.send_header("Location", "/storage/config")
            self.end_headers()
            return
        document = self.documents.get(self.path)
        self.send_response(200 if document is not None else 404)
        if self.cut:
            self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Tests need no access log."""


@pytest.fixture
def api() -> Iterator[str]:
    _RegistryApi.documents, _RegistryApi.seen = {}, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _RegistryApi)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_labels_and_architecture_come_from_the_configuration(ecr: Stubber, api: str) -> None:
    allow_credentials(ecr)
    _RegistryApi.documents = {
        "/v2/settlement/manifests/sha256:index": {
            "manifests": [
                {"digest": "sha256:attestation", "platform": {"architecture": "unknown"}},
                {"digest": "sha256:image", "platform": {"architecture": "arm64"}},
            ]
        },
        "/v2/settlement/manifests/sha256:image": {"config": {"digest": "sha256:config"}},
        "/storage/config": {"architecture": "arm64", "config": {"Labels": {"schema_head": "0001"}}},
    }
    found = registry(ecr, api).configuration("sha256:index")
    assert (found.architecture, found.labels) == ("arm64", {"schema_head": "0001"})
    # The registry's credentials stay with the registry.
    assert [authorization is None for _, authorization in _RegistryApi.seen] == [False, False, False, True]


def test_the_images_of_an_index_are_scanned_instead_of_it(ecr: Stubber, api: str) -> None:
    allow_credentials(ecr, 2)
    _RegistryApi.documents = {
        "/v2/settlement/manifests/sha256:index": {
            "manifests": [
                {"digest": "sha256:attestation", "platform": {"architecture": "unknown"}},
                {"digest": "sha256:image", "platform": {"architecture": "arm64"}},
            ]
        },
        "/v2/settlement/manifests/sha256:image": {"config": {"digest": "sha256:config"}},
    }
    assert registry(ecr, api).images("sha256:index") == ["sha256:image"]
    assert registry(ecr, api).images("sha256:image") == ["sha256:image"]


def test_an_image_without_labels(ecr: Stubber, api: str) -> None:
    allow_credentials(ecr)
    _RegistryApi.documents = {
        "/v2/settlement/manifests/sha256:image": {"config": {"digest": "sha256:other"}},
        "/v2/settlement/blobs/sha256:other": {"architecture": "amd64", "config": {"Labels": None}},
    }
    assert registry(ecr, api).configuration("sha256:image").labels == {}


def test_a_registry_that_does_not_give_it(ecr: Stubber, api: str) -> None:
    allow_credentials(ecr)
    with pytest.raises(ProblemError, match="Not Found"):
        registry(ecr, api).configuration("sha256:image")


@pytest.mark.parametrize("document", [{}, None])
def test_half_an_answer_is_a_problem_with_its_next_step(
    ecr: Stubber, api: str, document: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_RegistryApi, "cut", True)
    _RegistryApi.documents = {"/v2/settlement/manifests/sha256:image": document}
    allow_credentials(ecr)
    ecr.add_response("describe_images", {"imageDetails": []})
    with pytest.raises(ProblemError, match="cannot be stored beside the image"):
        registry(ecr, api).attach("sha256:image", "sbom", "application/json", "sbom.json", b"{}", "2026-01-31")
    allow_credentials(ecr)
    with pytest.raises(ProblemError):
        registry(ecr, api).configuration("sha256:image")


def test_credentials_are_comparable() -> None:
    assert Credentials("AWS", "a") != Credentials("AWS", "b")


def test_a_scan_has_the_findings_of_all_pages(ecr: Stubber) -> None:
    asked = {"registryId": "111122223333", "repositoryName": "settlement", "imageId": {"imageDigest": "sha256:aa"}}
    status = {"status": "ACTIVE", "description": "Continuous scan is selected for image."}
    for place, token in ({}, {"nextToken": "2"}), ({"nextToken": "2"}, {}):
        found = {"findings": [{"name": f"CVE-{place}"}], "enhancedFindings": [{"title": f"t{place}"}]}
        ecr.add_response(
            "describe_image_scan_findings",
            {"imageScanStatus": status, "imageScanFindings": found, **token},
            asked | place,
        )
    scan = registry(ecr, AWS).scan("sha256:aa")
    assert (scan.status, scan.description) == ("ACTIVE", "Continuous scan is selected for image.")
    assert [len(scan.basic), len(scan.enhanced)] == [2, 2]
    ecr.assert_no_pending_responses()


def test_an_image_without_a_scan_has_a_status_of_its_own(ecr: Stubber) -> None:
    ecr.add_client_error("describe_image_scan_findings", "ScanNotFoundException")
    assert registry(ecr).scan("sha256:aa").status == SCAN_NOT_FOUND


def test_a_refused_scan_is_an_error(ecr: Stubber) -> None:
    ecr.add_client_error("describe_image_scan_findings", "AccessDeniedException", "inspector2:ListFindings")
    with pytest.raises(ProblemError, match="inspector2:ListFindings"):
        registry(ecr).scan("sha256:aa")

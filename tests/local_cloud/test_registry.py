"""The emulator's registry as an image build uses it: log in, push, look up, pull by digest, attach artifacts."""

from __future__ import annotations

import base64
import json

import pytest
import requests

from fargate_ops.image import engine, sbom
from fargate_ops.image.registry import Registry
from tests.local_cloud.conftest import RunningCloud, docker_client

pytestmark = pytest.mark.local_cloud


def test_push_with_the_token_of_ecr(cloud: RunningCloud, stub_image: str) -> None:
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName="pushed", imageTagMutability="IMMUTABLE")
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    registry = f"localhost:{cloud.config.api_port}"
    client = docker_client()
    try:
        assert client.login(user, password, registry=registry, reauth=True)["Status"] == "Login Succeeded"
        client.images.get(stub_image).tag(f"{registry}/pushed", "1")
        lines = client.images.push(f"{registry}/pushed", "1", stream=True, decode=True)
        assert not [line["error"] for line in lines if "error" in line]
        client.images.remove(f"{registry}/pushed:1")
        (image,) = ecr.describe_images(repositoryName="pushed")["imageDetails"]
        assert image["imageTags"] == ["1"]
        reference = f"{registry}/pushed@{image['imageDigest']}"
        assert reference in client.images.pull(reference).attrs["RepoDigests"]
        client.images.remove(reference)
    finally:
        client.close()


def test_what_is_stored_beside_an_image(cloud: RunningCloud, stub_image: str) -> None:
    """OCI artifacts are stored through the registry's HTTP API, in a repository with immutable tags."""
    ecr, address = cloud.client("ecr"), f"localhost:{cloud.config.api_port}"
    ecr.create_repository(repositoryName="described", imageTagMutability="IMMUTABLE")
    registry = Registry(address, "described", ecr)
    client = docker_client()
    try:
        client.images.get(stub_image).tag(registry.name, "1")
        engine.push(client, registry.name, "1", registry.credentials(), print)
        client.images.remove(f"{registry.name}:1")
        digest = registry.digest("1")
        assert digest
        image = f"{registry.name}@{digest}"
        files, _ = engine.read_files(client, image, sbom.wanted, registry.credentials())  # pulled
        assert b"Package: " in files["var/lib/dpkg/status"]
        client.images.remove(image)
    finally:
        client.close()
    tag = sbom.tag(digest)
    for content in (b'{"bomFormat": "CycloneDX"}', b"of a slower run, and another"):
        registry.attach(digest, tag, sbom.MEDIA_TYPE, sbom.TITLE, content, "2026-01-31T00:00:00+00:00")
    artifact = registry.digest(tag)
    assert artifact not in (None, digest)
    assert registry.newest_tags(5) == ["1"]

    def get(path: str) -> bytes:
        return requests.get(f"http://{address}/v2/described/{path}", timeout=60).content

    manifest = json.loads(get(f"manifests/{tag}"))
    assert manifest["artifactType"] == sbom.MEDIA_TYPE
    assert manifest["subject"]["digest"] == digest
    assert manifest["subject"]["size"] == len(get(f"manifests/{digest}"))
    (layer,) = manifest["layers"]
    assert get(f"blobs/{layer['digest']}") == b'{"bomFormat": "CycloneDX"}'

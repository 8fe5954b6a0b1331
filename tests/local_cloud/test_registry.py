"""The registry of the emulator, as an image build uses it: log in with ECR's token, push, look, pull by digest."""

from __future__ import annotations

import base64

import pytest

from tests.local_cloud.conftest import RunningCloud, docker_client

pytestmark = pytest.mark.local_cloud


def test_push_with_the_token_of_ecr(cloud: RunningCloud, tools_image: str) -> None:
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName="pushed", imageTagMutability="IMMUTABLE")
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    registry = f"localhost:{cloud.config.api_port}"
    client = docker_client()
    try:
        assert client.login(user, password, registry=registry, reauth=True)["Status"] == "Login Succeeded"
        client.images.get(tools_image).tag(f"{registry}/pushed", "1")
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

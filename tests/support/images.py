"""The images of the local environment. Its role builds or pulls them once per machine."""

from __future__ import annotations

from pathlib import Path

import docker
import yaml

from local_cloud.host import images

REPOSITORY = Path(__file__).parents[2]


def settings() -> images.ImageSettings:
    """Return the image settings with the role's defaults."""
    defaults = yaml.safe_load((REPOSITORY / "roles/local_cloud/defaults/main.yml").read_text())
    base = (REPOSITORY / "app/api/Dockerfile.base").read_text().rpartition("FROM ")[2].strip()
    return images.ImageSettings(
        prefix=defaults["local_cloud_image_prefix"],
        public=defaults["local_cloud_public_images"] | {"base": base},
        suite=defaults["local_cloud_debian_suite"],
        mirror=defaults["local_cloud_debian_mirror"],
        registry_timeout=defaults["local_cloud_registry_timeout_seconds"],
    )


def prepare(scratch: Path) -> dict[str, str]:
    """Return the image references that `make deploy` uses, by purpose (base, postgres, haproxy)."""
    client = docker.from_env(timeout=300)
    try:
        return images.prepare(client, settings(), scratch, print)
    finally:
        client.close()

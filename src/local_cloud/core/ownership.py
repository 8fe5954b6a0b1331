"""Every container has the local environment's label, so that exactly the containers of this cloud can be removed.

What AWS does: nothing comparable; managed containers are not the customer's resources.
Without this patch: containers have only the emulator's own labels (``ministack=…``).
"""

from __future__ import annotations

from typing import Any

from local_cloud.core import emulator
from local_cloud.core.runtime import Cloud


def apply(cloud: Cloud) -> None:
    reaper = emulator.core("container_reaper")
    own_labels = reaper.own_labels

    def labelled(service: str, **extra: Any) -> dict[str, str]:
        return {**own_labels(service, **extra), **cloud.config.labels}

    reaper.own_labels = labelled

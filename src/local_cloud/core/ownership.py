"""Label every container, so that exactly what this cloud started can be removed.

What AWS does: nothing comparable; a managed container is no resource of the customer.
What the emulator does: labels of its own (``ministack=…``). The local environment's
own label joins them.
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

"""A real load balancer serves the listener on port 80: see ``load_balancer``."""

from __future__ import annotations

from roles.local_cloud.cloud import emulator
from roles.local_cloud.cloud.load_balancer import LoadBalancer
from roles.local_cloud.cloud.runtime import Cloud


def apply(cloud: Cloud) -> None:
    image = cloud.config.load_balancer_image
    if image is None:
        return
    balancer = LoadBalancer(cloud.config, image, emulator.service("alb"), cloud.target_groups)
    cloud.at_start(balancer.start)
    cloud.at_stop(balancer.stop)

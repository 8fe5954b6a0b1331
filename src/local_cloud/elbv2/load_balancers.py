"""A real load balancer serves the listener on port 80: see ``load_balancer``."""

from __future__ import annotations

from local_cloud.core import emulator
from local_cloud.core.runtime import Cloud
from local_cloud.elbv2.load_balancer import LoadBalancer


def apply(cloud: Cloud) -> None:
    image = cloud.config.load_balancer_image
    if image is None:
        return
    balancer = LoadBalancer(cloud.config, image, emulator.service("alb"), cloud.target_groups)
    cloud.at_start(balancer.start)
    cloud.at_stop(balancer.stop)

"""HAProxy serves the listeners on ports 80 and 443: see ``load_balancer``."""

from __future__ import annotations

from local_cloud.core.runtime import Cloud
from local_cloud.elbv2.listeners import Listeners
from local_cloud.elbv2.load_balancer import LoadBalancer
from local_cloud.elbv2.target_health import TargetGroups
from local_cloud.elbv2.zonal_shifts import Shifts


def apply(cloud: Cloud, groups: TargetGroups, listeners: Listeners, shifts: Shifts) -> LoadBalancer | None:
    image = cloud.config.load_balancer_image
    if image is None:
        return None
    balancer = LoadBalancer(cloud.config, image, listeners, groups, shifts)
    cloud.at_start(balancer.start)
    cloud.at_stop(balancer.stop)
    return balancer

"""The addresses on which a cloud listens."""

from __future__ import annotations

from local_cloud.core import ports
from local_cloud.core.config import CloudConfig
from local_cloud.elbv2 import load_balancer


def check_addresses(config: CloudConfig) -> None:
    """Check that every port is free before anything is started.

    A load balancer that this cloud left behind when it was killed is removed. Call this only while no cloud with this
    configuration runs.

    Raises:
        ports.AddressError: a port is taken, or an address does not exist.
    """
    ports.check_free(config.loopback_address, config.api_port, "the emulator's API")
    ports.check_free(config.gateway_address, config.api_port, f"the gateway of network {config.network_name}")
    ports.check_free(
        config.loopback_address, config.autoscaling_port, "the API of Application Auto Scaling and Cost Explorer"
    )
    load_balancer.remove_leftover(config)
    ports.check_free(config.loopback_address, config.load_balancer_port, "the load balancer")
    if config.load_balancer_https_port is not None:
        ports.check_free(config.loopback_address, config.load_balancer_https_port, "the load balancer's HTTPS")

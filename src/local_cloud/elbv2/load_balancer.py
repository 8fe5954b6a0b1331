"""The load balancer in front of the tasks: one HAProxy container that follows the listeners and their target groups.

What AWS does: an Application Load Balancer sends each request to a healthy target of the group that a rule or the
default action of the listener names (see ``listener_rules``); a draining target gets no new requests and finishes those
in progress (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/introduction.html). After the
deregistration delay, it answers requests still in progress with 502
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html#http-502-issues).
During a zonal shift, targets in the zone that traffic is shifted away from get no new requests
(https://aws.amazon.com/blogs/networking-and-content-delivery/using-cross-zone-load-balancing-with-zonal-shift/); if all
healthy targets are there, the shift has no effect
(https://docs.aws.amazon.com/r53recovery/latest/dg/arc-zonal-shift.resource-types.html).
Without this patch: the emulator's load balancer sends requests to any registered target, healthy or not, and does not
drain.

A listener for HTTPS serves with its ACM certificate and its security policy; HTTP/2 is for the client's side only
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-listeners.html). A connection that is
idle for the load balancer's ``idle_timeout.timeout_seconds`` is closed, and a request that a target has not answered by
then is answered 504
(https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html).

Differences from AWS: HAProxy closes the connection of a request that outlasts the delay, because it has no command that
sends a response. HAProxy makes no health checks: the target group's checks (see ``targets``) decide, as on AWS. Only
the listeners on ports 80 and 443 of one load balancer are served, of an internet-facing one if there is any. A redirect
keeps host, path and query, and names the port of this machine on which the listener is published. A request that no
target can take is answered 503.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.config import CloudConfig
from local_cloud.elbv2 import haproxy
from local_cloud.elbv2.haproxy import Server, ServerState
from local_cloud.elbv2.health import Health, State
from local_cloud.elbv2.listeners import Listeners, served
from local_cloud.elbv2.target_health import TargetGroups
from local_cloud.elbv2.targets import Target
from local_cloud.elbv2.zonal_shifts import Shifts, zone_id
from local_cloud.host.engine import SOCKET

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often HAProxy's servers are compared with the targets. A change of listeners or targets is followed at once."""
START_SECONDS = 120.0
RESTART_PAUSE_SECONDS = 1.0
_DIRECTORY = "/run/load_balancer"


class LoadBalancerError(RuntimeError):
    """HAProxy could not be started. The message says why."""


def commands(servers: list[Server], wanted: dict[Target, ServerState]) -> list[str]:
    """Return the commands that bring a backend's servers from their present state to the wanted one."""
    used: dict[Target, Server] = {}
    result: list[str] = []
    # Draining comes first: until then the target may get more requests.
    for server in servers:
        if server.state is ServerState.MAINTENANCE:
            continue
        again = server.target in used
        new = ServerState.MAINTENANCE if again else wanted.get(server.target, ServerState.MAINTENANCE)
        if new is not ServerState.MAINTENANCE:
            used[server.target] = server
        if new not in (server.state, ServerState.READY):
            result.append(server.set_state(new))
        if new is ServerState.MAINTENANCE:
            # HAProxy lets the requests of such a server finish; AWS ends them.
            result.append(f"shutdown sessions server {server.path}")
    # A server and its old address are used again as late as possible.
    unused = [server for server in servers if server.state is ServerState.MAINTENANCE]
    free = deque(sorted(unused, key=lambda server: server.unchanged, reverse=True))
    for target, new in wanted.items():
        known = used.get(target)
        if new is not ServerState.READY or (known and known.state is ServerState.READY):
            continue
        if known is None and not free:
            logger.error("more than %d targets: %s gets no requests", len(servers), target)
            continue
        server = known or free.popleft()
        if server.target != target:
            result.append(server.set_target(target))
        result.append(server.set_state(ServerState.READY))
    return result


def server_state(health: Health) -> ServerState:
    """Return the server state for a target of this health."""
    if health.state is State.HEALTHY:
        return ServerState.READY
    # An unhealthy target, like a draining one, finishes its requests in progress.
    return ServerState.DRAIN


def without_zone(
    states: Mapping[Target, ServerState], zones: Mapping[Target, str | None], away: str | None
) -> dict[Target, ServerState]:
    """Return the states during a zonal shift away from a zone. It has no effect if no other zone has a ready target."""
    elsewhere = any(state is ServerState.READY and zones[target] != away for target, state in states.items())
    return {
        target: ServerState.DRAIN if elsewhere and away and zones[target] == away else state
        for target, state in states.items()
    }


def container_name(config: CloudConfig) -> str:
    return f"{config.network_name}-load-balancer"


def remove_leftover(config: CloudConfig) -> None:
    """Remove the container that a killed cloud of this instance left behind, because it still uses the port."""
    import docker

    try:
        # A command calls this too, and its shell's environment may name another engine.
        client = docker.DockerClient(f"unix://{SOCKET}")
        filters: dict[str, str | list[str] | bool] = {
            "name": f"^/{container_name(config)}$",
            "label": [f"{name}={value}" for name, value in config.labels.items()],
        }
        for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
            container.remove(force=True, v=True)
    except docker.errors.DockerException as error:
        # Without Docker no container can be left over; later steps report that it is missing.
        logger.debug("looking for a load balancer that was left: %s", error)


class LoadBalancer:
    """Runs the container and keeps HAProxy in step with the listeners and the target groups."""

    def __init__(
        self, config: CloudConfig, image: str, listeners: Listeners, groups: TargetGroups, shifts: Shifts
    ) -> None:
        self._config = config
        self._image = image
        self._listeners = listeners
        self._groups = groups
        self._shifts = shifts
        self._api = haproxy.RuntimeApi(config.load_balancer_dir)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._settings = haproxy.Settings()
        self._lock = threading.Lock()
        self._container: Any = None
        groups.registry.observe(self._wake.set)
        shifts.observe(self._wake.set)
        listeners.observe(self._wake.set)

    def start(self) -> None:
        """Start HAProxy, wait until it answers, and follow the listeners and target groups from then on.

        Raises:
            LoadBalancerError: the image is missing, or HAProxy does not start.
        """
        self._start_container()
        for target, name in ((self._follow, "follow"), (self._watch, "watch")):
            threading.Thread(target=target, name=f"load-balancer-{name}", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        with self._lock:
            if self._container is not None:
                self._container.remove(force=True, v=True)
                self._container = None

    def wanted(self) -> dict[str, dict[Target, ServerState]]:
        """Return every target of the served target groups with its wanted state, by the group's backend."""
        found = served()
        if found is None:
            return {}
        away = self._shifts.away_from(found.balancer)
        return {haproxy.backend_of(group): self._states(group, away) for group in found.groups}

    def _states(self, group: str, away: str | None) -> dict[Target, ServerState]:
        members = self._groups.registry.members(group)
        names = {target: self._groups.zone(target) for target in members}
        return without_zone(
            {target: server_state(health) for target, health in members.items()},
            {target: name and zone_id(name) for target, name in names.items()},
            away,
        )

    def container(self) -> tuple[str, str] | None:
        """Return the identifier and the address of HAProxy's container, or None if it does not run."""
        container = self._container
        if container is None:
            return None
        if not (address := self._address(container)):  # it was read before its start
            container.reload()
            address = self._address(container)
        return (container.id, address) if address else None

    def _address(self, container: Any) -> str:
        address: str = container.attrs["NetworkSettings"]["Networks"][self._config.network_name]["IPAddress"]
        return address

    def _follow(self) -> None:
        failing = False
        while not self._stopping.is_set():
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()
            with self._lock:
                if self._container is None:
                    continue
                try:
                    # The servers of a backend that goes lose their targets first, those of a new one get theirs last.
                    self._follow_targets()
                    if self._apply(self._listeners.settings()):
                        self._follow_targets()
                    failing = False
                except haproxy.CommandError as error:
                    if not failing:
                        logger.warning("load balancer: %s", error)
                    failing = True  # the next round reads HAProxy's servers again

    def _follow_targets(self) -> None:
        servers, wanted = self._api.servers(), self.wanted()
        for backend in dict.fromkeys(server.backend for server in servers):
            own = [server for server in servers if server.backend == backend]
            if changes := commands(own, wanted.get(backend, {})):
                self._api.run(*changes)

    def _apply(self, settings: haproxy.Settings) -> bool:
        """Bring HAProxy's listeners to these settings. Return whether it was reloaded."""
        before, directory = self._settings, self._config.load_balancer_dir
        if settings == before:
            if settings.thresholds != before.thresholds:
                self._api.change(*haproxy.set_thresholds(_DIRECTORY, settings.thresholds))
                self._settings = settings
                logger.info("the load balancer's weights: %s", settings.thresholds)
            return False
        haproxy.write(directory, _DIRECTORY, settings, self._api.servers())
        haproxy.reload(directory)
        self._settings = settings
        logger.info("the load balancer serves %s", settings)
        return True

    def _watch(self) -> None:
        """Start HAProxy again if it exits by itself."""
        import docker

        while not self._stopping.is_set():
            container = self._container
            try:
                if container is not None:
                    container.client.api.wait(container.id, timeout=None)
            except (docker.errors.DockerException, OSError):
                time.sleep(RESTART_PAUSE_SECONDS)
            if self._stopping.is_set():
                return
            logger.error("the load balancer ended and is started again")
            try:
                self._start_container()
            except LoadBalancerError as error:
                logger.error("%s", error)
                time.sleep(RESTART_PAUSE_SECONDS)

    def _start_container(self) -> None:
        import docker

        config = self._config
        directory = config.load_balancer_dir
        directory.mkdir(parents=True, exist_ok=True)
        for name in (haproxy.SOCKET, haproxy.MASTER_SOCKET):
            (directory / name).unlink(missing_ok=True)
        client = docker.from_env()
        name = container_name(config)
        with self._lock:
            if self._stopping.is_set():
                return
            try:
                for old in client.containers.list(all=True, filters={"name": f"^/{name}$"}, ignore_removed=True):
                    old.remove(force=True, v=True)
                self._settings = self._listeners.settings()
                haproxy.write(directory, _DIRECTORY, self._settings, [])
                client.images.get(self._image)  # the image is built on this machine and never pulled
                self._container = client.containers.run(
                    self._image,
                    ["-W", "-S", f"{_DIRECTORY}/{haproxy.MASTER_SOCKET}", "-db", "-f", f"{_DIRECTORY}/haproxy.cfg"],
                    entrypoint=["haproxy"],
                    name=name,
                    detach=True,
                    user=f"{os.getuid()}:{os.getgid()}",
                    cap_drop=["ALL"],
                    read_only=True,
                    mem_limit="128m",
                    network=config.network_name,
                    ports={
                        f"{haproxy.PORTS[port]}/tcp": (config.loopback_address, published)
                        for port, published in config.listener_ports.items()
                    },
                    volumes=[f"{directory}:{_DIRECTORY}:rw"],
                    labels=emulator.core("container_reaper").own_labels("load-balancer"),
                )
            except docker.errors.ImageNotFound as error:
                raise LoadBalancerError(f"the load balancer's image {self._image} is missing") from error
            except docker.errors.APIError as error:
                raise LoadBalancerError(f"the load balancer cannot start: {error}") from error
            self._wait_ready()
        self._wake.set()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._api.run("show info")
                return
            except haproxy.CommandError as error:
                self._container.reload()
                if self._container.status == "exited" or time.monotonic() > deadline:
                    log = self._container.logs(tail=10).decode(errors="replace").strip()
                    raise LoadBalancerError(f"the load balancer does not start: {log or error}") from error
                time.sleep(0.05)

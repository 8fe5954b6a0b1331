"""Keeps the rules in the containers' namespaces in step with the security groups."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from local_cloud.core import emulator
from local_cloud.core.config import CloudConfig
from local_cloud.ec2.namespaces import ContainerGoneError, Namespace, NamespaceError, RefusedError
from local_cloud.ec2.rules import Interface, Rules, Vpc
from local_cloud.elbv2 import haproxy
from local_cloud.elbv2.listeners import served
from local_cloud.elbv2.load_balancer import LoadBalancer

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""How often groups, databases and the load balancer are read: their changes send no event."""
HTTPS = 443
_RETRY_SECONDS = 1.0
_RESOLVER_FILES = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))


def resolvers(files: Iterable[Path] = _RESOLVER_FILES) -> tuple[str, ...]:
    """Return this machine's name servers: Docker's resolver asks them from the container's namespace.

    It asks those on the loopback interface from this machine itself.
    """
    for file in files:
        if not file.is_file():
            continue
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
        found = [line[1] for line in lines if len(line) > 1 and line[0] == "nameserver" and ":" not in line[1]]
        if outside := [name for name in found if not ipaddress.IPv4Address(name).is_loopback]:
            return tuple(outside)
    return ()


class _Port:
    """The interface of one container, and its namespace as far as it was entered."""

    def __init__(self, interface: Interface, *, is_task: bool) -> None:
        self.interface = interface
        self.is_task = is_task
        self.lock = threading.Lock()
        self.namespace: Namespace | None = None
        self.entered_ns = 0
        self.rules: Rules | None = None
        self.closed = False

    def leave(self) -> None:
        if self.namespace is not None:
            self.namespace.close()
        self.namespace, self.rules = None, None


class Firewall:
    """The interfaces of all containers of the cloud, by container.

    The databases and the load balancer are found by themselves; a task is attached before it is RUNNING.
    """

    def __init__(self, config: CloudConfig, image: str, balancer: LoadBalancer | None) -> None:
        self._config = config
        self._image = image
        self._balancer = balancer
        self._lock = threading.Lock()
        self._ports: dict[str, _Port] = {}
        self._stopping = threading.Event()
        self._works: bool | None = None
        self._resolvers = resolvers()
        self._docker: Any = None

    def start(self) -> None:
        for target, name in ((self._follow_groups, "groups"), (self._follow_restarts, "restarts")):
            threading.Thread(target=target, name=f"security-{name}", daemon=True).start()

    def stop(self) -> None:
        """Remove every helper."""
        self._stopping.set()
        with self._lock:
            ports, self._ports = list(self._ports.values()), {}
        threads = [threading.Thread(target=self._close, args=(port,)) for port in ports]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def attach(self, container_id: str, interface: Interface) -> None:
        """Let the other interfaces expect a task's container, then set its own rules.

        Raises:
            NamespaceError: its rules are not set, on a machine that can set rules.
        """
        if self._works is False or self._stopping.is_set():
            return
        port = _Port(interface, is_task=True)
        with self._lock:
            # The engine gives the address of a container that has stopped to another one.
            old = [key for key, other in self._ports.items() if other.interface.address == interface.address]
            replaced = [self._ports.pop(key) for key in old]
            self._ports[container_id] = port
        for other in replaced:
            self._close(other)
        self._update({key: other for key, other in self._snapshot().items() if other.namespace is not None})
        try:
            self._bring_up_to_date(container_id, port)
        except ContainerGoneError:
            self.detach(container_id)
        except NamespaceError:
            self.detach(container_id)
            raise

    def detach(self, container_id: str) -> None:
        with self._lock:
            port = self._ports.pop(container_id, None)
        if port is not None:
            self._close(port)

    def _snapshot(self) -> dict[str, _Port]:
        with self._lock:
            return dict(self._ports)

    def _close(self, port: _Port) -> None:
        with port.lock:
            port.closed = True
            port.leave()

    def _client(self) -> Any:
        import docker

        if self._docker is None:
            self._docker = docker.from_env()
        return self._docker

    def _follow_groups(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            if self._works is False:
                return
            try:
                self._discover()
                self._update(self._snapshot())
            except Exception:  # a record of the emulator that is being made
                logger.exception("security groups: their changes are not in force yet")

    def _follow_restarts(self) -> None:
        """A container that starts again has a new namespace, without rules."""
        import docker

        labels = [f"{name}={value}" for name, value in self._config.labels.items()]
        filters = {"type": "container", "event": "start", "label": labels}
        while not self._stopping.is_set() and self._works is not False:
            try:
                for event in self._client().events(decode=True, filters=filters):
                    container_id = event["Actor"]["ID"]
                    port = self._snapshot().get(container_id)
                    if port is not None and event["timeNano"] > port.entered_ns > 0:
                        with port.lock:
                            port.leave()
                        self._update({container_id: port})
            except (docker.errors.DockerException, OSError):
                self._stopping.wait(_RETRY_SECONDS)

    def _discover(self) -> None:
        """Attach new databases and load balancers, and detach those that are gone."""
        found = {**self._databases(), **self._load_balancers()}
        for key in [key for key, port in self._snapshot().items() if not port.is_task and key not in found]:
            self.detach(key)
        with self._lock:
            for key, interface in found.items():
                if key in self._ports:
                    self._ports[key].interface = interface
                elif not self._stopping.is_set():
                    self._ports[key] = _Port(interface, is_task=False)

    def _databases(self) -> dict[str, Interface]:
        return {
            instance["_docker_container_id"]: Interface(
                instance["Endpoint"]["Address"],
                tuple(group["VpcSecurityGroupId"] for group in instance.get("VpcSecurityGroups") or ()),
                managed_from=self._config.gateway_address,
            )
            for instance in _records("rds", "_instances")
            if instance.get("_docker_container_id") and instance.get("Endpoint")
        }

    def _load_balancers(self) -> dict[str, Interface]:
        if self._balancer is None or (container := self._balancer.container()) is None:
            return {}
        identifier, address = container
        return {identifier: Interface(address, _balancer_groups(), haproxy.PORTS)}

    def _machine(self) -> list[Interface]:
        """Return the interfaces of this machine: AWS's APIs, the health checks and the RDS Proxies."""
        gateway = self._config.gateway_address
        endpoints = [
            group for record in _records("ec2", "_vpc_endpoints") for group in record.get("SecurityGroupIds", ())
        ]
        apis = Interface(gateway, tuple(endpoints), {HTTPS: self._config.api_port})
        # Each load balancer's nodes check its own targets: here all checks come from the gateway.
        balancers = [group for balancer in _records("alb", "_lbs") for group in balancer.get("SecurityGroups") or ()]
        checks = Interface(gateway, tuple(balancers))
        proxies = _records("rds", "_db_proxies")
        return [apis, checks, *(Interface(gateway, tuple(proxy["VpcSecurityGroupIds"])) for proxy in proxies)]

    def _vpc(self) -> Vpc:
        interfaces = (*(port.interface for port in self._snapshot().values()), *self._machine())
        groups = {group["GroupId"]: group for group in _records("ec2", "_security_groups")}
        return Vpc(groups, interfaces, self._prefix_list, self._resolvers)

    def _prefix_list(self, identifier: str) -> list[str]:
        """Return the blocks of a prefix list. The services of AWS's own lists are at the gateway."""
        ec2 = emulator.service("ec2")
        for record in _records("ec2", "_prefix_lists"):
            if record["PrefixListId"] == identifier:
                return [entry["Cidr"] for entry in record["Entries"]]
        with emulator.core("responses").request_scope(self._config.account_id, self._config.region):
            return [self._config.gateway_address] if ec2._resolve_aws_pl_by_id(identifier) else []

    def _update(self, ports: Mapping[str, _Port]) -> None:
        for container_id, port in ports.items():
            try:
                self._bring_up_to_date(container_id, port)
            except ContainerGoneError:
                continue
            except NamespaceError as error:
                logger.warning("security groups: %s keeps its old rules: %s", port.interface.address, error)

    def _bring_up_to_date(self, container_id: str, port: _Port) -> None:
        with port.lock:
            if port.closed or self._works is False or (port.namespace is None and not port.interface.groups):
                return
            try:
                if port.namespace is None:
                    port.entered_ns = time.time_ns()
                    port.namespace = Namespace(self._client(), self._config, self._image, container_id)
                # Read only now: an interface that was attached meanwhile has left this port to us.
                rules = self._vpc().rules(port.interface)
                if rules == port.rules:
                    return
                port.namespace.set(rules)
            except ContainerGoneError:
                raise
            except NamespaceError as error:
                port.leave()
                if isinstance(error, RefusedError) and self._gives_up(error):
                    return
                raise
            self._works = True
            port.rules = rules
            logger.info("security groups: %s: %s", port.interface.address, rules)
            if rules is None:
                port.leave()

    def _gives_up(self, error: RefusedError) -> bool:
        """Return whether this machine has never been able to set rules. The first time, say so."""
        with self._lock:
            if self._works is None:
                logger.warning("Security groups are not enforced: this machine cannot set their rules: %s", error)
                self._works = False
            return not self._works


def _balancer_groups() -> tuple[str, ...]:
    """Return the groups of the load balancer that HAProxy serves."""
    found = served()
    groups = {balancer["LoadBalancerArn"]: balancer.get("SecurityGroups") for balancer in _records("alb", "_lbs")}
    return tuple((found and groups.get(found.balancer)) or ())


def _records(service: str, store: str) -> list[Any]:
    """Return the records of a store of the emulator, of every account and region."""
    return list(getattr(emulator.service(service), store)._data.values())

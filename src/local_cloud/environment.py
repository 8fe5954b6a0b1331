"""Start and remove the local environment: the order of the steps, and conflicts with other environments."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_cloud.core import authority
from local_cloud.core.config import CloudConfig, ConfigError
from local_cloud.core.ports import AddressError, check_free
from local_cloud.daemon import control
from local_cloud.host import engine, images, network
from local_cloud.host.commands import Progress, file_lock, last_lines
from local_cloud.host.errors import LocalCloudError

if TYPE_CHECKING:
    import docker
    from docker.models.networks import Network

#: Long enough to import an image, which is one request.
_DOCKER_TIMEOUT_SECONDS = 300
_BESIDE_ANOTHER = (
    "`make down` in that checkout, or give this one other ports: "
    "roles/local_cloud/README.md#two-checkouts-at-the-same-time"
)
_CONNECT_TIMEOUT_SECONDS = 2

_ENGINE = {
    engine.Decision.USE: "runs",
    engine.Decision.START: "installed; the local cloud starts it",
    engine.Decision.INSTALL: "not installed; the local cloud installs and starts it",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one local environment.

    `project` is the directory that holds ``roles``. `cloud` is the cloud's configuration as JSON values. The
    certificate of the databases' CA is written to `database_authority`. The paths in `forget` refer to the cloud's
    state and are removed with it. Timeouts are in seconds.
    """

    project: Path
    cloud: Mapping[str, Any]
    network: network.NetworkSpec
    images: images.ImageSettings
    database_authority: Path
    forget: tuple[Path, ...] = ()
    ready_timeout: float = 180.0
    stop_timeout: float = 180.0

    @property
    def config(self) -> CloudConfig:
        """Return `cloud` as the cloud reads it.

        Raises:
            LocalCloudError: a value is not valid. The message names it.
        """
        try:
            return CloudConfig.from_mapping(self.cloud)
        except ConfigError as error:
            raise LocalCloudError(f"The settings of the local cloud: {error}.") from error

    @property
    def config_file(self) -> Path:
        return self.config.work_dir / "config.json"

    @property
    def daemon(self) -> engine.Daemon:
        return engine.Daemon(self.config.work_dir)

    @property
    def network_labels(self) -> dict[str, str]:
        return {**self.config.labels, network.OWNER_LABEL: str(self.config.work_dir)}


@dataclass
class Outcome:
    """The changes of a run (in check mode, the expected ones), and the images by role: base, postgres, haproxy."""

    changed: bool = False
    actions: list[str] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)

    def add(self, action: str) -> None:
        self.changed = True
        self.actions.append(action)


def up(settings: Settings, progress: Progress, *, check: bool = False) -> Outcome:
    """Start engine, network, images and cloud, in this order, as far as necessary. With `check`, change nothing.

    Raises:
        LocalCloudError: something is missing or conflicts. The message names the next command.
    """
    outcome = Outcome(images=images.expected(settings.images))
    host = engine.observe()
    engine.decide(host, engine.probe())
    with _locked(settings, progress, check=check):
        decision = engine.decide(host, engine.probe())
        if decision is not engine.Decision.USE:
            outcome.add(f"container engine: {decision.value}")
            if check:
                outcome.add("network, images and cloud: cannot be known before the engine runs")
                return outcome
            if decision is engine.Decision.INSTALL:
                engine.install(progress)
            if engine.probe() is not engine.Reachable.YES:
                settings.daemon.start(host, progress)
        with _docker() as client:
            _up(client, settings, outcome, progress, check=check)
    return outcome


@dataclass(frozen=True)
class Finding:
    """The outcome of one check. Each problem is a message that names the next step. `unknown`: it needs an engine."""

    check: str
    summary: str
    problems: tuple[str, ...] = ()
    unknown: bool = False


def diagnose(settings: Settings) -> list[Finding]:
    """Return what `up` needs of this machine, every problem at once. Changes nothing.

    Raises:
        LocalCloudError: a setting is not valid.
    """
    config = settings.config
    health = control.probe(config)
    running = health is not None and health.pid == control.running_pid(config)
    findings = [_checked("docker", lambda: _ENGINE[engine.decide(engine.observe(), engine.probe())])]
    if running:
        reach = lambda: _reach(config.gateway_address, config.api_port)  # noqa: E731
        ports = Finding("ports", f"{', '.join(map(str, config.ports.values()))}: ours")
        return [*findings, ports, _checked("containers", reach)]
    if engine.probe() is not engine.Reachable.YES:
        unknown = "not known before Docker runs"
        names = ("network", "images")
        return [*findings, _ports(settings, ours=False), *(Finding(name, unknown, unknown=True) for name in names)]
    with _docker() as client:
        existing = network.find(client, settings.network)
        findings.append(_checked("network", lambda: _free(existing, settings)))
        if _running_owner(existing, settings) is None:  # another environment has the ports too
            ours = bool(client.containers.list(all=True, sparse=True, filters=_selector(settings)))
            findings.append(_ports(settings, ours=ours))
        return [*findings, _checked("images", lambda: images.origin(client, settings.images))]


def _checked(check: str, work: Callable[[], str]) -> Finding:
    try:
        return Finding(check, work())
    except LocalCloudError as error:
        return Finding(check, "not as needed", (str(error),))


def _ports(settings: Settings, *, ours: bool) -> Finding:
    """Check the ports. `ours`: containers that a killed cloud left are removed before it starts again."""
    config = settings.config
    taken = []
    for name, port in (config.api_ports if ours else config.ports).items():
        try:
            _check_port(config.loopback_address, port, name)
        except LocalCloudError as error:
            taken.append(str(error))
    return Finding("ports", ", ".join(map(str, config.ports.values())) + ("" if taken else ": free"), tuple(taken))


def _free(existing: Network | None, settings: Settings) -> str:
    _refuse_other(existing, settings)
    network.check_routes(settings.network, ignore=existing)
    return settings.network.subnet


def _reach(address: str, port: int) -> str:
    """Connect to the network's gateway, where the containers' addresses are."""
    try:
        socket.create_connection((address, port), timeout=_CONNECT_TIMEOUT_SECONDS).close()
    except OSError as error:
        raise LocalCloudError(
            f"This machine does not reach the containers' network ({address}:{port}: {error}). "
            f"Next: `make down`, then `make up`; a firewall or a VPN may block it."
        ) from error
    return f"their network is reached at {address}"


def down(settings: Settings, progress: Progress, *, check: bool = False) -> Outcome:
    """Stop the cloud and remove its containers, volumes, network and state. Images stay, as a cache.

    Raises:
        LocalCloudError: something could not be stopped or removed.
    """
    outcome = Outcome()
    with _locked(settings, progress, check=check):
        _down(settings, outcome, progress, check=check)
    return outcome


def _down(settings: Settings, outcome: Outcome, progress: Progress, *, check: bool) -> None:
    pid = control.running_pid(settings.config)
    if pid is not None:
        outcome.add(f"cloud (pid {pid}): stop")
        if not check:
            progress("stopping the cloud")
            _cloud(settings, "--stop", "--timeout", str(settings.stop_timeout))
    if engine.probe() is engine.Reachable.YES:
        with _docker() as client:
            existing = network.find(client, settings.network)
            other = _running_owner(existing, settings)
            if other is None:
                _remove_containers(client, settings, outcome, check=check)
                _remove_volumes(client, settings, outcome, check=check)
                _remove_network(existing, settings, outcome, check=check)
            else:
                progress(f"containers and network belong to the local environment of {other}: not removed")
            idle = not client.containers.list(sparse=True)
        if settings.daemon.is_ours() and idle:
            outcome.add("container engine: stop, because this environment started it")
            if not check:
                settings.daemon.stop(progress)
        elif settings.daemon.is_ours():
            progress("the container engine keeps running: other containers use it")
    notes = () if settings.daemon.is_ours() else (settings.daemon.record, settings.daemon.log)
    for path in (settings.config.work_dir, settings.database_authority, *settings.forget, *notes):
        if path.exists():
            outcome.add(f"{path}: remove")
            if not check:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _up(client: docker.DockerClient, settings: Settings, outcome: Outcome, progress: Progress, *, check: bool) -> None:
    config = settings.config
    health = control.probe(config)
    running = health is not None and health.pid == control.running_pid(config)
    current = running and health is not None and (health.status, health.config_digest) == ("ready", config.digest)
    existing = network.find(client, settings.network)
    matches = existing is not None and network.matches(existing, settings.network, settings.network_labels)
    found = images.find(client, settings.images)
    outcome.images = found or outcome.images

    if running and not matches:
        raise LocalCloudError(
            f"The local cloud runs, but not on the network {settings.network.name} {settings.network.subnet}. "
            f"Next: `make down`, then the same command again."
        )
    if not running:
        for name, port in config.api_ports.items():
            _check_port(config.loopback_address, port, name)
        _refuse_other(existing, settings)
        # Left by a killed cloud: the checks above found no other environment with these labels.
        _remove_containers(client, settings, outcome, check=check)
        if not check or not outcome.changed:  # a left-over load balancer uses the port until it is removed
            for name, port in config.load_balancer_ports.items():
                _check_port(config.loopback_address, port, name)
    if not matches:
        _remove_network(existing, settings, outcome, check=check)
        network.check_routes(settings.network, ignore=existing)
        outcome.add(f"network {settings.network.name} {settings.network.subnet}: create")
        if not check:
            network.create(client, settings.network, settings.network_labels)
    if found is None:
        outcome.add("images of the base, PostgreSQL and HAProxy: pull, or make from Debian packages")
        if not check:
            outcome.images = images.prepare(client, settings.images, config.work_dir, progress)
    if not current:
        outcome.add(f"cloud on {config.api_url}: {'restart, its settings changed' if running else 'start'}")
        if not check:
            progress(outcome.actions[-1])
            _start(settings)
    if not check:
        _publish_authority(settings, outcome)


def _check_port(address: str, port: int, name: str) -> None:
    try:
        check_free(address, port, f"local_cloud_{name}_port")
    except AddressError as error:
        if "local_cloud.daemon" in str(error):
            raise LocalCloudError(
                f"The local environment of another checkout runs: {error}. Next: {_BESIDE_ANOTHER}. If the checkout is "
                f"gone, end the process."
            ) from error
        raise LocalCloudError(f"{error}: `-e local_cloud_{name}_port=…`.") from error


def _running_owner(existing: Network | None, settings: Settings) -> str | None:
    """Return the directory of another checkout whose cloud runs on the network, or None."""
    owner = network.owner(existing)
    if owner is None or owner == str(settings.config.work_dir):
        return None
    theirs = dataclasses.replace(settings.config, work_dir=Path(owner))
    return owner if control.running_pid(theirs) is not None else None


def _refuse_other(existing: Network | None, settings: Settings) -> None:
    if other := _running_owner(existing, settings):
        raise LocalCloudError(
            f"The network {settings.network.name} is in use by the local environment of {other}. "
            f"Next: {_BESIDE_ANOTHER}"
        )


def _remove_containers(client: docker.DockerClient, settings: Settings, outcome: Outcome, *, check: bool) -> None:
    from docker.errors import NotFound

    found = client.containers.list(all=True, sparse=True, filters=_selector(settings))
    if not found:
        return
    outcome.add(f"{len(found)} container(s): remove")
    for container in found if not check else ():
        try:
            container.remove(force=True, v=True)
        except NotFound:  # it had already stopped
            continue


def _remove_volumes(client: docker.DockerClient, settings: Settings, outcome: Outcome, *, check: bool) -> None:
    found = client.volumes.list(filters=_selector(settings))
    if not found:
        return
    outcome.add(f"{len(found)} volume(s): remove")
    for volume in found if not check else ():
        volume.remove(force=True)


def _remove_network(existing: Network | None, settings: Settings, outcome: Outcome, *, check: bool) -> None:
    if existing is None:
        return
    if network.owner(existing) is None:
        raise LocalCloudError(
            f"A Docker network named {settings.network.name} exists that this project did not make. "
            f"Next: `docker network rm {settings.network.name}`, or `-e local_cloud_network_name=…`."
        )
    outcome.add(f"network {settings.network.name}: remove")
    if not check:
        network.remove(existing)


def _selector(settings: Settings) -> dict[str, str | list[str] | bool]:
    return {"label": [f"{name}={value}" for name, value in settings.config.labels.items()]}


def _start(settings: Settings) -> None:
    """Start the cloud, or restart it if its configuration differs."""
    settings.config.work_dir.mkdir(parents=True, exist_ok=True)
    settings.config_file.write_text(json.dumps(settings.cloud, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    _cloud(settings, "--detach", "--timeout", str(settings.ready_timeout))


def _cloud(settings: Settings, *arguments: str) -> None:
    """Run the cloud's own command line."""
    command = [sys.executable, "-m", "local_cloud.daemon", "--config", str(settings.config_file), *arguments]
    done = subprocess.run(
        command,
        cwd=settings.project / "src",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LocalCloudError(done.stderr.strip() or last_lines(done.stdout))


def _publish_authority(settings: Settings, outcome: Outcome) -> None:
    """Copy the certificate of the databases' CA to the path that image builds use."""
    certificate = authority.certificate_file(settings.config).read_bytes()
    target = settings.database_authority
    if not target.exists() or target.read_bytes() != certificate:
        outcome.add(f"{target}: written")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(certificate)


def _locked(settings: Settings, progress: Progress, *, check: bool) -> AbstractContextManager[None]:
    """Hold the environment's lock. A second run waits for the first, and then finds everything done."""
    return nullcontext() if check else file_lock(settings.config.work_dir.with_suffix(".lock"), progress)


@contextmanager
def _docker() -> Iterator[docker.DockerClient]:
    import docker
    import requests

    client = docker.from_env(timeout=_DOCKER_TIMEOUT_SECONDS)
    try:
        yield client
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise LocalCloudError(f"Docker: {getattr(error, 'explanation', None) or error}") from error
    finally:
        client.close()

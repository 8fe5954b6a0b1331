"""The targets of every target group: registration, health checks, draining.

DescribeTargetHealth, the ECS scheduler and the load balancer all read a target's health from here.
"""

from __future__ import annotations

import dataclasses
import http.client
import logging
import threading
import time
from collections.abc import Callable

from local_cloud.elbv2 import health
from local_cloud.elbv2.health import Failure, Health, Machine, Settings, State

logger = logging.getLogger(__name__)

FIRST_CHECK_SECONDS = 0.5
"""Pause between checks of a target that has never passed one. Each node of an ALB checks on its own schedule, and the
first passing check counts. Here one node checks more often. Failures still count once per interval."""

_PAUSE_WHEN_UNUSED_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, order=True)
class Target:
    """A target of a target group: its address and port."""

    address: str
    port: int


class _Member:
    """A registered target and the thread that checks it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.machine = Machine()
        self.stop = threading.Event()
        self.draining_until: float | None = None
        """Monotonic time; None while the target gets new requests."""


class TargetRegistry:
    """All target groups, keyed by ARN. Safe to use from any thread.

    Args:
        settings: returns the health check of a group, or None if the group was deleted.
        in_use: returns whether a listener forwards to the group.
    """

    def __init__(self, settings: Callable[[str], Settings | None], in_use: Callable[[str], bool]) -> None:
        self._settings = settings
        self._in_use = in_use
        self._lock = threading.RLock()
        self._groups: dict[str, dict[Target, _Member]] = {}
        self._observers: list[Callable[[], None]] = []
        self._stopped = False

    def observe(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after every change. It must return at once."""
        self._observers.append(callback)

    def register(self, group: str, target: Target) -> None:
        """Add a target. A draining one gets requests again; a registered one is not changed."""
        with self._lock:
            members = self._groups.setdefault(group, {})
            known = members.get(target)
            if self._stopped or (known is not None and known.draining_until is None):
                return
            member = members[target] = _Member(target)
            threading.Thread(
                target=self._check,
                args=(group, member),
                name=f"health-{target.address}:{target.port}",
                daemon=True,
            ).start()
        self._changed()

    def deregister(self, group: str, target: Target, delay: float) -> None:
        """Send a target no new requests, and remove it after ``delay`` seconds."""
        with self._lock:
            member = self._groups.get(group, {}).get(target)
            if member is None or member.draining_until is not None:
                return
            member.stop.set()
            member.draining_until = time.monotonic() + delay
            timer = threading.Timer(delay, self._forget, args=(group, member))
            timer.daemon = True
            timer.start()
        self._changed()

    def remove_group(self, group: str) -> None:
        with self._lock:
            for member in self._groups.pop(group, {}).values():
                member.stop.set()
        self._changed()

    def members(self, group: str) -> dict[Target, Health]:
        """Return every target of a group with its health, in the order of registration."""
        with self._lock:
            return {target: self._health(group, member) for target, member in self._groups.get(group, {}).items()}

    def health(self, group: str, target: Target) -> Health | None:
        """Return the health of one target, or None if it is not registered."""
        with self._lock:
            member = self._groups.get(group, {}).get(target)
            return None if member is None else self._health(group, member)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for members in self._groups.values():
                for member in members.values():
                    member.stop.set()

    def _health(self, group: str, member: _Member) -> Health:
        if member.draining_until is not None:
            return health.DRAINING
        if not self._in_use(group):
            return health.NOT_IN_USE
        settings = self._settings(group)
        if settings is not None and not settings.enabled:
            return health.CHECKS_DISABLED
        return member.machine.health

    def _forget(self, group: str, member: _Member) -> None:
        with self._lock:
            members = self._groups.get(group, {})
            if members.get(member.target) is member:
                del members[member.target]
        self._changed()

    def _changed(self) -> None:
        for callback in self._observers:
            callback()

    def _check(self, group: str, member: _Member) -> None:
        last_counted = float("-inf")
        while not member.stop.is_set():
            settings = self._settings(group)
            if settings is None:
                return
            if not settings.enabled or not self._in_use(group):
                member.stop.wait(_PAUSE_WHEN_UNUSED_SECONDS)
                continue
            failure = probe(member.target, settings)
            with self._lock:
                if member.stop.is_set():
                    return
                before = member.machine.health
                now = time.monotonic()
                if failure is None:
                    member.machine.passed(settings)
                    last_counted = now
                elif now - last_counted >= settings.interval - FIRST_CHECK_SECONDS / 2:
                    member.machine.failed(failure, settings)
                    last_counted = now
                after = member.machine.health
            if before != after:
                logger.info("%s:%d is %s %s", *dataclasses.astuple(member.target), after.state, after.reason)
                self._changed()
            first = after.state is State.INITIAL
            member.stop.wait(FIRST_CHECK_SECONDS if first else settings.interval)


def probe(target: Target, settings: Settings) -> Failure | None:
    """Make one HTTP health check, as an ALB does. Return None if it passed."""
    port = settings.port or target.port
    connection = http.client.HTTPConnection(target.address, port, timeout=settings.timeout)
    try:
        connection.request(
            "GET",
            settings.path,
            headers={"User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"},
        )
        status = connection.getresponse().status
    except TimeoutError:
        return Failure.timed_out()
    except (OSError, http.client.HTTPException):
        return Failure.no_answer()
    finally:
        connection.close()
    return None if health.matches(settings.matcher, status) else Failure.status(status)

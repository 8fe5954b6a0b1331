"""The steps of the drills by name. Each injects a fault, or checks how the service handled one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fargate_ops.aws.clients import Clients
from fargate_ops.core.application import Application
from fargate_ops.drill import connection_exhaustion as exhaustion
from fargate_ops.drill import rotation
from fargate_ops.drill.client import LoadFile
from fargate_ops.drill.cpu_load import wait_until_scaled
from fargate_ops.drill.faults import restart_database, stop_task, stop_unplaced
from fargate_ops.drill.row_deletion import Rows
from fargate_ops.drill.steady_state import ServiceState, observe
from fargate_ops.drill.zone_loss import give_back, lose_zone
from fargate_ops.ecs.scaling import ScalableTarget
from fargate_ops.terraform.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Target:
    """The environment of a drill. ``earlier``: the result of a step or of the rotation, or the state before."""

    clients: Clients
    stack: Stack
    application: Application
    load_file: LoadFile
    bucket: str
    limit_seconds: float
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    #: Seconds that the slow statement takes.
    hold_seconds: float = 0.0
    earlier: Mapping[str, Any] = field(default_factory=dict)

    def observe(self) -> ServiceState:
        return observe(self.clients, self.stack, self.bucket, self.stack.environment)

    def program(self) -> exhaustion.Program:
        return exhaustion.Program(self.clients, self.stack, self.say, sleep=self.sleep)

    def rows(self) -> Rows:
        return Rows(self.clients, self.stack, self.say, self.limit_seconds, sleep=self.sleep)

    @property
    def scalable(self) -> ScalableTarget:
        return ScalableTarget(self.clients.client("application-autoscaling"), self.stack.scalable_target)

    @property
    def ready(self) -> tuple[str, float, Callable[[str], None]]:
        return f"{self.stack.public_url}{self.application.ready_path}", self.limit_seconds, self.say


def _task(target: Target) -> dict[str, Any]:
    ecs, cluster = target.clients.client("ecs"), target.stack.cluster_name
    return stop_task(ecs, cluster, target.observe, target.limit_seconds, target.say, sleep=target.sleep).to_plain()


def _unplaced(target: Target) -> dict[str, Any]:
    ecs, stack, limit, say = target.clients.client("ecs"), target.stack, target.limit_seconds, target.say
    return stop_unplaced(
        ecs, stack.cluster_name, stack.service_name, target.observe, limit, say, sleep=target.sleep
    ).to_plain()


def _zone(target: Target) -> dict[str, Any]:
    return lose_zone(
        target.clients, target.stack, target.observe, target.limit_seconds, target.say, sleep=target.sleep
    ).to_plain()


def _zone_back(target: Target) -> dict[str, Any]:
    give_back(target.clients, target.stack)
    return {}


def _database(target: Target) -> dict[str, Any]:
    rds, instance = target.clients.client("rds"), target.stack.database.instance_identifier
    ready_url, limit, say = target.ready
    return restart_database(
        rds, instance, target.stack.public_url, ready_url, target.load_file, limit, say, sleep=target.sleep
    ).to_plain()


def _sessions(target: Target) -> dict[str, Any]:
    return exhaustion.exhaust(target.program(), *target.ready, sleep=target.sleep).to_plain()


def _recovery(target: Target) -> dict[str, Any]:
    earlier = exhaustion.Exhaustion(**target.earlier)
    return exhaustion.recover(target.program(), earlier, *target.ready, sleep=target.sleep).to_plain()


def _slow(target: Target) -> dict[str, Any]:
    return exhaustion.hold(target.program(), target.hold_seconds, target.limit_seconds, target.say).to_plain()


def _starving(target: Target) -> dict[str, Any]:
    return {"answers": exhaustion.starve(*target.ready, sleep=target.sleep)}


def _cleared(target: Target) -> dict[str, Any]:
    slow = exhaustion.SlowStatement(**target.earlier)
    return {"over": exhaustion.clear(target.program(), slow, *target.ready, sleep=target.sleep)}


def _rows(target: Target) -> dict[str, Any]:
    return target.rows().delete().to_plain()


def _restored(target: Target) -> dict[str, Any]:
    return target.rows().count()


def _drop(target: Target) -> dict[str, Any]:
    target.rows().drop()
    return {}


def _users(target: Target) -> dict[str, Any]:
    return {"users": rotation.users(target.clients, target.stack, target.application, target.limit_seconds, target.say)}


def _former_user(target: Target) -> dict[str, Any]:
    revision = str(target.earlier["previous_revision"])
    return {"user": rotation.former_user(target.program(), revision, target.limit_seconds, target.say)}


def _secret(target: Target) -> dict[str, Any]:
    secretsmanager, secret = target.clients.client("secretsmanager"), str(target.earlier["secret"])
    return rotation.change(secretsmanager, secret, target.observe, target.limit_seconds, target.say, sleep=target.sleep)


def _scaled_out(target: Target) -> dict[str, Any]:
    before, newest = target.earlier["desired"], target.scalable.newest_activity()
    return _scaled(target, lambda desired: desired > before) | {"before": before, "activity": newest}


def _scaled_in(target: Target) -> dict[str, Any]:
    scaled = _scaled(target, lambda desired: desired <= target.earlier["before"])
    return scaled | {"numbers": target.scalable.numbers_after(target.earlier["activity"])}


def _scaled(target: Target, reached: Callable[[int], bool]) -> dict[str, Any]:
    limit, say = target.limit_seconds, target.say
    return wait_until_scaled(target.observe, target.scalable, reached, limit, say, sleep=target.sleep).to_plain()


#: Each returns its result as plain values.
STEPS: Mapping[str, Callable[[Target], dict[str, Any]]] = {
    "task": _task,
    "unplaced": _unplaced,
    "zone": _zone,
    "zone_back": _zone_back,
    "database": _database,
    "sessions": _sessions,
    "recovery": _recovery,
    "slow": _slow,
    "starving": _starving,
    "cleared": _cleared,
    "rows": _rows,
    "restored": _restored,
    "drop": _drop,
    "users": _users,
    "former_user": _former_user,
    "secret": _secret,
    "scaled_out": _scaled_out,
    "scaled_in": _scaled_in,
}

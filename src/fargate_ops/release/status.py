"""What runs, since when, who released it: from ECS, the load balancer, the ledger and the lock, as data and text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.alarms import IN_ALARM, Alarm, alarms
from fargate_ops.aws.clients import Clients
from fargate_ops.ecs.rollout import Deployment, Snapshot, Watch
from fargate_ops.ecs.scaling import Registered, ScalableTarget
from fargate_ops.ecs.schedule import Capacity, capacity_at, next_change
from fargate_ops.ecs.tasks import describe_tasks, list_tasks, private_address
from fargate_ops.ecs.traffic import target_groups, target_health
from fargate_ops.ecs.zones import Shift, managed
from fargate_ops.release.in_flight import InFlight
from fargate_ops.release.journal import incarnation
from fargate_ops.release.measured import measured
from fargate_ops.release.rollback import Refusal, choose
from fargate_ops.release.service import is_staged
from fargate_ops.release.strategy import ROLLING
from fargate_ops.state.four_keys import DEFINITIONS, FourKeys
from fargate_ops.state.ledger import (
    History,
    Kind,
    Ledger,
    LedgerError,
    Outcome,
    Release,
    as_row,
    of_service,
    serving,
    unfinished_rollback,
)
from fargate_ops.state.lock import LockError, LockStore, Machine, State, judge
from fargate_ops.terraform.stack import ServiceScaling, Stack


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of the service. ``target`` is the state of its target."""

    id: str
    revision: str
    status: str
    started: str | None
    address: str
    zone: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """The limits of the number of tasks: registered (None: none, or not known), wanted, and scheduled next.

    ``suspended``: the schedule does not run.
    """

    registered: Capacity | None
    wanted: Capacity
    next: Capacity | None
    next_at: str | None
    suspended: bool

    def as_row(self) -> dict[str, Any]:
        limits = {"registered": self.registered, "wanted": self.wanted, "next": self.next}
        return {name: value and value._asdict() for name, value in limits.items()} | {
            "next_at": self.next_at,
            "suspended": self.suspended,
        }


@dataclass(frozen=True, kw_only=True)
class Status:
    """Everything that ``make status`` shows; `as_row` returns it as plain JSON values.

    ``version`` is the commit's hash; ``name`` also identifies the definition: ``0123456789ab+3f2a``.
    ``alarms`` are all of the environment's, each with ``name``, ``state`` and ``since``; None, with a warning, if
    CloudWatch did not return them. ``max_connections`` is None without a database. ``four_keys`` is None if the ledger
    cannot be read. ``zone_away`` is the zone that traffic is shifted away from, and until when; None if there is none.
    ``in_flight`` says what a release does that is not rolling, and which commands end it; None if there is none.
    """

    environment: str
    url: str
    service: str
    version: str | None
    name: str | None
    digest: str | None
    revision: str
    since: str | None
    by: str | None
    rollout: str
    in_flight: str | None
    desired: int
    tasks: list[Task]
    zone_away: str | None
    lock: str | None
    scaling: Scaling
    max_connections: int | None
    rollback_to: str | None
    alarms: list[dict[str, str]] | None
    four_keys: FourKeys | None
    releases: list[dict[str, Any]]
    warnings: list[str]

    def as_row(self) -> dict[str, Any]:
        keys = self.four_keys and self.four_keys.as_row()
        return asdict(self) | {"scaling": self.scaling.as_row(), "four_keys": keys}


def gather(
    clients: Clients,
    stack: Stack,
    *,
    environment: str,
    bucket: str,
    stale_after: timedelta,
    newest: int,
    machine: Machine,
    source: Path,
    now: datetime,
) -> Status:
    """Return the status. Independent requests run concurrently. ``source`` is the folder with the versions' commits.

    Raises:
        ServiceError: there is no such service.
        botocore's errors: ECS or the load balancer did not answer.
    """
    ecs, elbv2, s3 = clients.client("ecs"), clients.client("elbv2"), clients.client("s3")
    cluster, service = stack.cluster_name, stack.service_name
    groups = target_groups(stack)
    watch = Watch(ecs, elbv2, cluster=cluster, service=service, target_groups=groups, say=lambda _: None)
    cloudwatch = clients.client("cloudwatch")
    target = ScalableTarget(clients.client("application-autoscaling"), stack.scalable_target)
    with ThreadPoolExecutor(8) as pool:
        snapshot_ = pool.submit(watch.snapshot)
        history_ = pool.submit(_history, Ledger(s3, bucket, environment))
        lock_ = pool.submit(_lock, LockStore(s3, bucket, environment), machine, stale_after)
        tasks_ = pool.submit(lambda: describe_tasks(ecs, cluster, list_tasks(ecs, cluster, serviceName=service)))
        targets_ = pool.submit(target_health, elbv2, groups)
        alarms_ = pool.submit(_alarms, cloudwatch, stack.name_prefix)
        limits_ = pool.submit(_registered, target)
        shift_ = pool.submit(_shift, clients, stack.target_group_arn)
        snapshot = snapshot_.result()
        history, why_no_ledger = history_.result()
        keys = None if why_no_ledger else measured(history.releases, source, now)
        lock, why_no_lock = lock_.result()
        states = target_states(targets_.result())
        tasks = [task_of(task, states) for task in tasks_.result()]
        found, why_unknown = alarms_.result()
        registered, why_no_limits = limits_.result()
        shift, why_no_shift = shift_.result()
    in_flight, why_no_stage = _in_flight(clients, stack, snapshot, environment)
    primary = snapshot.primary
    ours = of_service(history.releases, incarnation(snapshot.service))
    current = current_release(ours, primary)
    back = rollback_target(ours, primary)
    scaling = _scaling(stack.scalable_target, registered, now)
    return Status(
        environment=environment,
        url=stack.public_url,
        service=f"{cluster}/{service}",
        version=current.version if current else None,
        name=current.name if current else None,
        digest=current.digest if current else None,
        revision=primary.revision_name,
        since=_utc(current.ended) if current and current.ended else None,
        by=current.by if current else None,
        rollout=primary.rollout_state,
        in_flight=in_flight,
        desired=snapshot.service["desiredCount"],
        tasks=sorted(tasks, key=lambda task: (task.revision, task.id)),
        zone_away=f"{shift.zone} until {shift.end}" if shift else None,
        lock=lock,
        scaling=scaling,
        max_connections=stack.database.max_connections if stack.has_database else None,
        rollback_to=f"{back.name} ({back.revision_name})" if back else None,
        alarms=None if found is None else [_alarm(alarm) for alarm in found],
        four_keys=keys,
        releases=[as_row(release) for release in reversed(history.releases[-newest:])],
        warnings=[
            *service_warnings(snapshot, tasks),
            *(why_no_ledger or ledger_warnings(snapshot, ours, environment)),
            *map(str, history.unreadable),
            # A release sets the limits after the first success; before, there is nothing to scale.
            *(_scaling_warnings(scaling, environment) if serving(ours) else []),
            *why_no_stage,
            *why_no_lock,
            *why_unknown,
            *why_no_limits,
            *why_no_shift,
        ],
    )


def _history(ledger: Ledger) -> tuple[History, list[str]]:
    """Return the ledger; if it cannot be read, an empty one and a warning."""
    try:
        return ledger.history(), []
    except LedgerError as error:
        return History(releases=[], unreadable=[]), [f"the releases are not known: {error}"]


def _alarms(cloudwatch: Any, prefix: str) -> tuple[list[Alarm] | None, list[str]]:
    """Return the environment's alarms; if they cannot be read, None and a warning."""
    try:
        return alarms(cloudwatch, prefix), []
    except (ClientError, BotoCoreError) as error:
        return None, [f"whether an alarm is in ALARM is not known: {error}"]


def _registered(target: ScalableTarget) -> tuple[Registered | None, list[str]]:
    """Return the scalable target's settings; if they cannot be read, None and a warning."""
    try:
        return target.registered(), []
    except (ClientError, BotoCoreError) as error:
        return None, [f"auto scaling's limits are not known: {error}"]


def _in_flight(clients: Clients, stack: Stack, snapshot: Snapshot, environment: str) -> tuple[str | None, list[str]]:
    """Return what a release in flight does that is not rolling; None if there is none, or if a warning says why."""
    if snapshot.primary.rollout_state != "IN_PROGRESS" or not is_staged(snapshot):
        return None, []
    try:
        going = InFlight.read(clients, stack, ROLLING, snapshot)
    except (ClientError, BotoCoreError) as error:
        return None, [f"the stage of the release in flight is not known: {error}"]
    if going is None:
        return None, []
    if going.seen.goes_back:
        return going.line, []
    promote = f"make promote ENV={environment} continues it, " if going.seen.pause else ""
    return f"{going.line}; {going.end}; {promote}make abort ENV={environment} undoes it", []


def _shift(clients: Clients, target_group: str) -> tuple[Shift | None, list[str]]:
    """Return the load balancer's zonal shift; if it cannot be read, None and a warning."""
    try:
        found = managed(clients, target_group)
    except (ClientError, BotoCoreError) as error:
        return None, [f"whether traffic is shifted away from a zone is not known: {error}"]
    return found.shift if found else None, []


def _scaling(target: ServiceScaling, registered: Registered | None, now: datetime) -> Scaling:
    change = next_change(target, now)
    return Scaling(
        registered=registered and registered.limits,
        wanted=capacity_at(target, now),
        next=change.capacity if change else None,
        next_at=f"{change.at:%Y-%m-%d %H:%M} {change.at.tzinfo}" if change else None,
        suspended=bool(registered and registered.is_schedule_suspended),
    )


def _scaling_warnings(scaling: Scaling, environment: str) -> list[str]:
    warnings = []
    if scaling.registered not in (None, scaling.wanted):
        warnings.append(
            f"auto scaling's limits are {scaling.registered}, and {scaling.wanted} should hold: "
            f"make deploy ENV={environment} sets them"
        )
    if scaling.suspended:
        warnings.append(f"scheduled scaling is suspended: make deploy ENV={environment} resumes it")
    return warnings


def _alarm(alarm: Alarm) -> dict[str, str]:
    return {"name": alarm.name, "state": alarm.state, "since": _utc(alarm.since)}


def current_release(releases: Sequence[Release], primary: Deployment) -> Release | None:
    """Return the newest release or rollback to the revision that PRIMARY runs; None if the ledger does not know it."""
    return next((item for item in reversed(releases) if item.revision == primary.revision), None)


def rollback_target(releases: Sequence[Release], primary: Deployment) -> Release | None:
    """Return the target of a rollback without a given one, as the playbook chooses it."""
    try:
        return choose(releases, primary)
    except Refusal:
        return None


def task_of(task: Mapping[str, Any], targets: Mapping[str, str]) -> Task:
    address = private_address(task)
    started = task.get("startedAt")
    return Task(
        id=task["taskArn"].rsplit("/", 1)[-1],
        revision=task["taskDefinitionArn"].rsplit("/", 1)[-1],
        status=task["lastStatus"],
        started=_utc(started) if started else None,
        address=address,
        zone=task.get("availabilityZone", ""),
        target=targets.get(address, "not registered"),
    )


def target_states(answer: Mapping[str, Any]) -> dict[str, str]:
    return {item["Target"]["Id"]: item["TargetHealth"]["State"] for item in answer["TargetHealthDescriptions"]}


def _lock(store: LockStore, machine: Machine, stale_after: timedelta) -> tuple[str | None, list[str]]:
    """Return who holds the lock, None if nobody does; if it cannot be read, a warning."""
    try:
        found = store.read()
    except LockError as error:
        return "not known", [f"whether somebody holds the lock is not known: {error}"]
    state = judge(found, machine, "", stale_after)
    if state is State.FREE:
        return None, []
    return f"{found}{' - dead: the next flow takes it over' if state is State.DEAD else ''}", []


def service_warnings(snapshot: Snapshot, tasks: Sequence[Task]) -> list[str]:
    """Return the warnings about the service, the most important first."""
    primary, desired = snapshot.primary, snapshot.service["desiredCount"]
    found = []
    if desired == 0:
        found.append("the service has zero tasks: nothing serves")
    elif not any(task.target == "healthy" for task in tasks):
        found.append("no target is healthy: nothing serves")
    if primary.rollout_state == "FAILED":
        found.append(f"the rollout of {primary.revision_name} failed: {primary.reason}")
    elif primary.rollout_state == "IN_PROGRESS":
        found.append(f"a rollout of {primary.revision_name} is in progress")
    return found


def ledger_warnings(snapshot: Snapshot, releases: Sequence[Release], environment: str) -> list[str]:
    """Return the differences between the ledger and the service."""
    primary, success, target = snapshot.primary, serving(releases), unfinished_rollback(releases)
    found = []
    bakes = bool(releases) and releases[-1].outcome is Outcome.BAKING
    if bakes and primary.rollout_state == "COMPLETED":
        found.append(f"{releases[-1].name} has baked: make release ENV={environment} verifies and records it")
    if target:
        found.append(f"the rollback to {target.name} has not succeeded: make rollback ENV={environment} resumes it")
    if snapshot.service["desiredCount"] and not any(item.revision == primary.revision for item in releases):
        found.append(f"the ledger does not know {primary.revision_name}: it was not put there by a release")
    elif releases and (newest := releases[-1]).revision == primary.revision and newest.outcome is Outcome.UNVERIFIED:
        verb = "rollback" if newest.kind is Kind.ROLLBACK else "release"
        found.append(f"{newest.name} serves and is not verified: make {verb} ENV={environment} verifies it")
    elif success and success.revision != primary.revision and not bakes:
        found.append(f"the last success in the ledger is {success.revision_name}, and not what runs")
    return found


def text_of_bucket(
    s3: Any, *, environment: str, bucket: str, stale_after: timedelta, newest: int, machine: Machine
) -> str:
    """Return the lock and the newest releases as text, without Terraform's outputs and the service."""
    lock, warnings = _lock(LockStore(s3, bucket, environment), machine, stale_after)
    history, why_no_ledger = _history(Ledger(s3, bucket, environment))
    releases = [as_row(release) for release in reversed(history.releases[-newest:])]
    warnings += [*why_no_ledger, *map(str, history.unreadable)]
    lines = [f"{environment}: what the state bucket {bucket} says", f"  lock         {lock or 'free'}"]
    return "\n".join([*lines, *_release_lines(releases), *(f"  ! {warning}" for warning in warnings)])


def text(status: Status) -> str:
    """Return the status as text."""
    since = f"since {status.since} by {status.by}" if status.since else "not recorded in the ledger"
    lines = [
        f"{status.environment}  {status.url}",
        f"  version      {status.name or 'unknown'} ({status.revision}), {since}",
        f"  digest       {status.digest or 'unknown'}",
        f"  service      {status.service}: {len(status.tasks)} of {status.desired} tasks, "
        f"rollout {status.rollout.lower().replace('_', ' ')}",
        *(
            f"    {task.id[:12]}  {task.revision:<24} {task.status.lower():<12} {task.address:<15} {task.zone:<15} "
            f"{task.target}"
            for task in status.tasks
        ),
        *([f"  in flight    {status.in_flight}"] if status.in_flight else []),
        *([f"  zone away    {status.zone_away}"] if status.zone_away else []),
        f"  rollback to  {status.rollback_to or 'nothing: no earlier success'}",
        f"  lock         {status.lock or 'free'}",
        f"  scaling      {_scaling_text(status.scaling)}",
        f"  database     {f'{status.max_connections} connections at most' if status.max_connections else 'none'}",
        f"  alarms       {_alarms_text(status.alarms)}",
        *(
            f"    {alarm['name']}  in ALARM since {alarm['since']}"
            for alarm in status.alarms or []
            if alarm["state"] == IN_ALARM
        ),
        *_four_keys_lines(status.four_keys),
        *_release_lines(status.releases),
        *(f"  ! {warning}" for warning in status.warnings),
    ]
    return "\n".join(lines)


def _four_keys_lines(keys: FourKeys | None) -> list[str]:
    if keys is None:
        return ["  four keys    not known"]
    return [f"  four keys    {DEFINITIONS}", *(f"    {name:<22} {value}" for name, value in keys.as_text().items())]


def _scaling_text(scaling: Scaling) -> str:
    """Return the present and the next limits: ``2 to 4 tasks; 3 to 4 tasks from 2026-01-28 00:00 Asia/Seoul``."""
    holds = scaling.registered or "limits not known"
    return f"{holds}; {scaling.next} from {scaling.next_at}" if scaling.next else f"{holds}, no schedule"


def _alarms_text(found: Sequence[Mapping[str, str]] | None) -> str:
    """Return the number of alarms in each state: ``1 in ALARM, 4 OK``."""
    if found is None:
        return "not known"
    states = Counter(alarm["state"] for alarm in found)
    names = ((IN_ALARM, "in ALARM"), ("OK", "OK"), ("INSUFFICIENT_DATA", "without enough data"))
    return ", ".join(f"{states[state]} {name}" for state, name in names if states[state]) or "none"


def _release_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return ["  releases" if rows else "  releases     none yet", *(f"    {_release_line(row)}" for row in rows)]


def _release_line(row: Mapping[str, Any]) -> str:
    seconds = row["duration_seconds"]
    took = f"{seconds:.0f} s" if seconds is not None else ""
    why = f"  {row['why']}" if row["outcome"] not in ("succeeded", "in_progress") else ""
    revision = row["revision"].rsplit("/", 1)[-1]
    return (
        f"{row['started'][:19].replace('T', ' ')}  {row['name']:<18} {revision:<24} "
        f"{row['outcome']:<12} {took:>6}  {row['by']}{why}"
    )


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

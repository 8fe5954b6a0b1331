"""What one look at an environment has seen: a field for each source. Times are UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from fargate_ops.aws.alarms import Alarm
from fargate_ops.ecs.rollout import Deployment
from fargate_ops.ecs.tasks import Stop
from fargate_ops.state.ledger import Outcome, Release


class Source(StrEnum):
    """Where signals come from, in the words of the report."""

    LEDGER = "the releases"
    ALARMS = "alarms"
    SERVICE = "the service"
    TASKS = "tasks"
    TARGETS = "targets"
    DATABASE = "the database"
    APPLICATION_LOG = "the application's log"
    DATABASE_LOG = "the database's log"
    CPU = "the tasks' CPU"
    QUEUE = "the bots' queue"
    CHANGES = "CloudTrail"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The environment, and how old what is seen may be.

    ``name`` is ``<app_name>-<env_name>``: the cluster's and the service's name, and the beginning of all other names.
    Evidence older than ``recent`` says nothing about now. A release within ``release`` may have caused what is seen.
    """

    environment: str
    name: str
    bucket: str
    has_database: bool
    recent: timedelta
    release: timedelta
    cloudtrail: bool


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a log, or an event of the service."""

    at: datetime
    text: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """The service's counts, deployments and events."""

    desired: int
    running: int
    deployments: Sequence[Deployment]
    events: Sequence[Entry]

    @property
    def revisions(self) -> set[str]:
        """Return the task definitions that the service runs or starts."""
        return {deployment.revision for deployment in self.deployments}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task that has not stopped."""

    id: str
    revision: str
    zone: str
    address: str
    started: datetime | None


@dataclass(frozen=True, kw_only=True)
class Target:
    """A target, by its address. ``reason`` is the load balancer's code: ``Target.Timeout``."""

    address: str
    state: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Database:
    """The RDS instance that serves."""

    identifier: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Change:
    """A call that changed something of this environment, as CloudTrail has it."""

    at: datetime
    call: str
    by: str


@dataclass(frozen=True, kw_only=True)
class Signals:
    """All signals. ``unread`` are the sources without an answer, each with the reason. They say nothing."""

    scope: Scope
    now: datetime
    #: Of this service, oldest first.
    releases: Sequence[Release] = ()
    alarms: Sequence[Alarm] = ()
    service: Service | None = None
    #: ECS knows no such service.
    is_missing: bool = False
    tasks: Sequence[Task] = ()
    #: Newest last.
    stops: Sequence[Stop] = ()
    targets: Sequence[Target] = ()
    database: Database | None = None
    application_log: Sequence[Entry] = ()
    database_log: Sequence[Entry] = ()
    #: Percent of the CPU that the tasks have, a value a minute, oldest first.
    cpu: Sequence[tuple[datetime, float]] = ()
    #: The number of messages that no bot could post.
    undelivered: int = 0
    changes: Sequence[Change] = ()
    read: Sequence[Source] = ()
    unread: Mapping[Source, str] = field(default_factory=dict)

    @property
    def since(self) -> datetime:
        """Return from when on evidence counts."""
        return self.now - self.scope.recent

    @property
    def newest_release(self) -> Release | None:
        """Return the newest release or rollback if it is new enough to matter."""
        newest = self.releases[-1] if self.releases else None
        is_new = newest is not None and (newest.ended or newest.started) >= self.now - self.scope.release
        return newest if is_new else None

    @property
    def since_release(self) -> datetime:
        """Return from when on evidence of tasks counts.

        A release that succeeded has ended what was before it. What was before one that failed is not its failure.
        """
        newest = self.newest_release
        if newest and newest.ended and newest.outcome is Outcome.SUCCEEDED:
            return max(self.since, newest.ended)
        if newest and newest.outcome is Outcome.FAILED:
            return max(self.since, newest.started)
        return self.since

    @property
    def is_whole(self) -> bool:
        """Return whether the service has all its tasks and the load balancer reaches each of them."""
        return (
            self.service is not None
            and self.service.running >= self.service.desired > 0
            and len(self.service.deployments) == 1
            and bool(self.targets)
            and all(target.state in ("healthy", "draining") for target in self.targets)
        )

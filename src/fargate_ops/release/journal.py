"""The ledger in a release, a rollback or a rotation: read the service's releases, append every event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from fargate_ops.ecs.rollout import Snapshot
from fargate_ops.release.context import Context
from fargate_ops.state.ledger import (
    ENDS,
    Event,
    History,
    Kind,
    Ledger,
    Outcome,
    Release,
    of_service,
    rolling_back,
    started_at,
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The fields that all events of one release share, named as in `Event`."""

    release: str
    kind: Kind = Kind.RELEASE
    service: str
    version: str
    digest: str
    revision: str
    schema_head: str | None
    schema_compatible: list[str] | None = None
    restores: str | None = None
    definition_digest: str | None


class Journal:
    """Reads and appends to the ledger of one environment."""

    def __init__(self, context: Context) -> None:
        self.c = context
        self._ledger = Ledger(context.clients.client("s3"), context.bucket, context.environment)

    def history(self, snapshot: Snapshot) -> History:
        """Return the ledger of this incarnation of the service, oldest first."""
        found = self._ledger.history()
        return replace(found, releases=of_service(found.releases, incarnation(snapshot.service)))

    def releases(self, snapshot: Snapshot) -> list[Release]:
        """Return the releases of `history`."""
        return self.history(snapshot).releases

    def all_releases(self) -> list[Release]:
        """Return the environment's releases, including those of earlier incarnations of the service."""
        return self._ledger.releases()

    def has_ended(self, release: str) -> bool:
        """Return whether this or another run has recorded an end of this release."""
        return self._ledger.has_ended(release)

    def append(self, entry: Entry, outcome: Outcome, why: str = "") -> None:
        """Record an event of this run's own release. Its end gets the duration."""
        at = datetime.now(UTC)
        self._append(entry, outcome, why, at, seconds_since(entry.release, at) if outcome in ENDS else None)

    def record(self, release: Release, outcome: Outcome, why: str) -> None:
        """Record an event of a release that another run began."""
        entry = Entry(
            release=release.id,
            kind=release.kind,
            service=release.service,
            version=release.version,
            digest=release.digest,
            revision=release.revision,
            schema_head=release.schema_head,
            schema_compatible=release.schema_compatible,
            restores=release.restores,
            definition_digest=release.definition_digest,
        )
        self._append(entry, outcome, why, datetime.now(UTC), None)

    def _append(self, entry: Entry, outcome: Outcome, why: str, at: datetime, seconds: float | None) -> None:
        self._ledger.append(
            Event(**vars(entry), outcome=outcome, by=self.c.by, at=at, why=why, duration_seconds=seconds)
        )

    def confirm_rolled_back(
        self, snapshot: Snapshot, releases: Sequence[Release], why: str, *, preview: bool = False
    ) -> None:
        """Record that the rollback of a release is done, if another revision that succeeded serves."""
        primary = snapshot.primary
        if primary.rollout_state != "COMPLETED":
            return
        if not any(item.revision == primary.revision and item.outcome is Outcome.SUCCEEDED for item in releases):
            return
        for release in rolling_back(releases):
            if release.revision != primary.revision:
                self.c.say(f"{'would record' if preview else 'recorded'}: {release.name} is rolled back")
                if not preview:
                    self.record(release, Outcome.ROLLED_BACK, why)

    def describe_serving(self, snapshot: Snapshot) -> str:
        """Return what serves, for messages: the revision, the release's name, the number of tasks."""
        primary = snapshot.primary
        known = {release.revision: release.name for release in self.releases(snapshot)}
        name = known.get(primary.revision, "")
        if snapshot.service["runningCount"] == 0:
            return "nothing: no task runs"
        return f"{primary.revision_name}{f' ({name})' if name else ''}, {primary.running} tasks"


def is_in_service(release: Release, snapshot: Snapshot) -> bool:
    """Return whether PRIMARY runs a release and ECS has not given it up."""
    primary = snapshot.primary
    return primary.revision == release.revision and primary.rollout_state != "FAILED"


def incarnation(service: Mapping[str, Any]) -> str:
    """Return the identity of a service, unlike that of an earlier one of the same name: ARN and time of creation."""
    return f"{service['serviceArn']}@{service['createdAt'].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def seconds_since(release: str, ended: datetime) -> float:
    """Return the seconds from the start of a release until ``ended``; 0 if another machine's clock was ahead."""
    return max(0.0, round((ended - started_at(release)).total_seconds(), 1))

"""What a release has to do, decided from what is wanted, what runs and what the ledger remembers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fargate_ops.ecs.rollout import Deployment
from fargate_ops.ecs.task_definition import database_of, differences, digest
from fargate_ops.release.stale_tasks import Staleness
from fargate_ops.state.ledger import Outcome, Release, serving


@dataclass(frozen=True)
class Revision:
    """A registered task definition in canonical form."""

    arn: str
    canonical: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.arn.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """All that the decision depends on.

    ``running`` is the definition of the PRIMARY deployment; ``latest`` and ``latest_admin`` are the newest ACTIVE
    revisions of their families; ``releases`` are those of this incarnation of the service; ``staleness`` is of its
    tasks, and ``database_secrets`` the ARNs of the secrets that the admin task sees to.
    """

    wanted: Mapping[str, Any]
    wanted_admin: Mapping[str, Any]
    primary: Deployment
    running: Revision
    latest: Revision | None
    latest_admin: Revision | None
    releases: Sequence[Release]
    schema_head: str | None
    app_secret_has_value: bool
    minimum_tasks: int
    staleness: Sequence[Staleness] = ()
    database_secrets: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do. Revisions are ARNs that exist already; None means that one has to be registered."""

    release: str
    needed: bool
    resumes: bool
    first: bool
    revision: str | None
    admin_revision: str | None
    prepare: str
    force: bool
    desired_count: int | None
    deployment: str | None
    previous_revision: str
    previous_name: str
    changes: list[str]
    definition_digest: str
    database_secret_arn: str = ""

    def to_fact(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_fact(cls, fact: Mapping[str, Any]) -> Plan:
        return cls(**fact)


def decide(situation: Situation, new_release: str) -> Plan:
    """The plan. ``new_release`` is the identifier to use if this becomes a release of its own.

    - Released is what differs from the definition that PRIMARY runs, whatever the hash says, and a definition whose
      rollout ECS gave up. What runs is replaced by the same when there is doubt about its tasks.
    - A release that an interrupted flow left unfinished, and that is what is wanted now, is taken up where it is.
    - An identical newest revision, left by an interrupted flow, is used again.
    - The number of tasks is sent only before the first success; afterwards it belongs to auto scaling.
    """
    success = serving(situation.releases)
    same = situation.running.canonical == situation.wanted
    # Given up by ECS, or by a first release that failed and left the service without tasks.
    gave_up = situation.primary.rollout_state == "FAILED" or (success is None and situation.primary.desired == 0)
    # PRIMARY is what is wanted, and nobody has recorded that it succeeded: watch, verify and record it.
    resumes = same and not gave_up and not _recorded(situation)
    left = _left(situation) if resumes else None
    replaces = same and not resumes and bool(situation.staleness)
    needed = not same or gave_up or resumes or replaces
    return Plan(
        release=left.id if left else new_release,
        needed=needed,
        resumes=resumes,
        first=success is None,
        revision=_reusable(situation, same),
        admin_revision=situation.latest_admin.arn
        if situation.latest_admin and situation.latest_admin.canonical == situation.wanted_admin
        else None,
        prepare=_prepare_reason(situation, success, needed and not resumes),
        force=same and (gave_up or replaces),
        desired_count=max(1, situation.minimum_tasks) if success is None and not resumes else None,
        deployment=situation.primary.id if resumes else None,
        previous_revision=success.revision if success else "",
        previous_name=success.name if success else "",
        changes=[
            *differences(situation.running.canonical if _same_family(situation) else None, situation.wanted),
            *(item.reason for item in situation.staleness),
        ],
        definition_digest=digest(situation.wanted),
    )


def _recorded(situation: Situation) -> bool:
    return any(
        release.revision == situation.running.arn and release.outcome is Outcome.SUCCEEDED
        for release in situation.releases
    )


def _left(situation: Situation) -> Release | None:
    """The newest release, if nobody watched it to its end and it is what PRIMARY runs."""
    if not situation.releases:
        return None
    newest = situation.releases[-1]
    unwatched = newest.ended is None and newest.revision == situation.running.arn
    return newest if unwatched else None


def _reusable(situation: Situation, same: bool) -> str | None:
    if same:
        return situation.running.arn
    if situation.latest and situation.latest.canonical == situation.wanted:
        return situation.latest.arn
    return None


def _prepare_reason(situation: Situation, success: Release | None, releasing: bool) -> str:
    """Why the database has to be prepared; empty when it does not."""
    if not situation.app_secret_has_value:
        return "the application's database secret has no value yet"
    if not releasing:
        return ""
    if success is None:
        return "no release has succeeded yet"
    for item in situation.staleness:
        if item.secret in situation.database_secrets:
            return item.reason
    before, now = database_of(situation.running.canonical), database_of(situation.wanted)
    if before != now:
        return f"the database {before or 'unknown'} -> {now}"
    if success.schema_head != situation.schema_head or situation.schema_head is None:
        return f"schema {success.schema_head or 'unknown'} -> {situation.schema_head or 'unknown'}"
    return ""


def _same_family(situation: Situation) -> bool:
    return situation.running.canonical.get("family") == situation.wanted.get("family")

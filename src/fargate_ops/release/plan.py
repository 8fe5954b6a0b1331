"""Decide what a release has to do from the wanted definition, the running one and the ledger. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fargate_ops.ecs.rollout import Deployment
from fargate_ops.ecs.task_definition import database_of, differences, digest
from fargate_ops.ecs.tasks import short
from fargate_ops.release.stale_tasks import Staleness
from fargate_ops.state.ledger import Outcome, Release, serving


@dataclass(frozen=True)
class Revision:
    """A registered task definition in canonical form."""

    arn: str
    canonical: Mapping[str, Any]

    @property
    def name(self) -> str:
        return short(self.arn)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything that the decision depends on.

    ``running`` is the definition of the PRIMARY deployment. ``latest`` and ``latest_admin`` are the newest ACTIVE
    revisions of their families. ``releases`` are those of this incarnation of the service, ``staleness`` that of its
    tasks. ``database_secrets`` are the ARNs of the secrets whose passwords the admin task sets in the database.
    Without a database, ``wanted_admin`` is None and there is nothing to prepare.
    """

    wanted: Mapping[str, Any]
    wanted_admin: Mapping[str, Any] | None
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
    """The decision. Revisions are ARNs of existing ones; None means that a revision has to be registered."""

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
    """Return the plan. ``new_release`` is the identifier for a release that resumes none.

    - A release is needed if the wanted definition differs from PRIMARY's, even for the same commit, or if ECS gave its
      rollout up. Stale tasks are replaced with the same definition.
    - An unfinished release of an interrupted run is resumed if PRIMARY runs the wanted definition.
    - An identical newest revision, left by an interrupted run, is used again.
    - The number of tasks is sent only before the first success. Afterwards auto scaling owns it.
    """
    success = serving(situation.releases)
    same = situation.running.canonical == situation.wanted
    # ECS gave it up, or a first release failed and left the service without tasks.
    gave_up = situation.primary.rollout_state == "FAILED" or (success is None and situation.primary.desired == 0)
    # PRIMARY runs the wanted definition, and its success is not recorded: watch, verify and record it.
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
    """Return the newest release if it has no end and PRIMARY runs it."""
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
    """Return why the database has to be prepared; empty if it does not."""
    if situation.wanted_admin is None:
        return ""
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

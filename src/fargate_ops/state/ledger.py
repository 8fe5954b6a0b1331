"""The release ledger: an append-only record of what was released, kept in the state bucket.

One object per event, ``ledger/<environment>/<release>/<outcome>.json``, written with a conditional put
(``If-None-Match: *``), so that an event is recorded at most once and is never rewritten, whoever races:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html

The key names the release and its outcome; the body holds the rest. Reading therefore takes one listing and the bodies
of the relevant releases, fetched in parallel. The pure functions ``fold``, ``serving``, ``earlier_successes``,
``unfinished``, ``unfinished_rollback`` and ``rolled_back`` interpret the events.

An object that cannot be read is reported and never hides the others: its outcome is still known from its key, and the
rest from the other events of that release.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.errors import error_code
from fargate_ops.core.problem import OperationsError
from fargate_ops.plugin.environment import user_name
from fargate_ops.state.record import parse

#: The size of a boto3 client's connection pool.
PARALLEL_READS = 10
#: The number of newest releases, and of newest successes, that are read unless the caller wants another one.
NEWEST = 50


class LedgerError(OperationsError):
    """The ledger cannot be read or written."""


class Outcome(StrEnum):
    """What happened to a release; the values are part of the object keys."""

    IN_PROGRESS = "in_progress"
    #: The database holds the release's schema; not an end.
    PREPARED = "prepared"
    #: Its tasks are healthy, ECS shifts the requests at its own pace, and nobody waits. Not an end.
    BAKING = "baking"
    #: It serves and could not be verified. This is not an end: a later run verifies it.
    UNVERIFIED = "unverified"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    #: A rollback was decided, and no other version serves yet.
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"


#: Outcomes that do not end a release, in the order in which they happen.
_BEGINNINGS = (Outcome.IN_PROGRESS, Outcome.PREPARED, Outcome.BAKING, Outcome.UNVERIFIED)
#: The ends that the run of a release itself records.
ENDS = (Outcome.SUCCEEDED, Outcome.FAILED)
#: What happens to a release after its end.
_ROLLBACKS = (Outcome.ROLLING_BACK, Outcome.ROLLED_BACK)
#: Beginnings sort first and rollbacks last, even if clocks differ. Of the ends between them the newest counts.
_ORDER = {outcome: number for number, outcome in enumerate(_BEGINNINGS)} | {
    outcome: len(_BEGINNINGS) + number for number, outcome in enumerate(_ROLLBACKS, start=1)
}
#: Characters of a definition's digest in a release's name: enough to distinguish the definitions of one commit.
SUFFIX_LENGTH = 4


class Kind(StrEnum):
    """Whether a release or a rollback put a revision in service."""

    RELEASE = "release"
    ROLLBACK = "rollback"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of one release.

    ``service`` names the incarnation of the ECS service (its ARN and creation time): after ``destroy`` and a new
    deploy the bucket still holds the old history, and none of it is a success of the new service.

    ``schema_compatible`` are the schema heads whose code still works once this release's migrations ran; None if not
    known. ``restores`` is the release that a rollback puts back. ``definition_digest`` is the SHA-256 of the canonical
    task definition, in hex; None in events from before it was recorded.
    """

    release: str
    outcome: Outcome
    kind: Kind = Kind.RELEASE
    service: str
    version: str
    digest: str
    revision: str
    schema_head: str | None = None
    schema_compatible: list[str] | None = None
    restores: str | None = None
    definition_digest: str | None = None
    by: str
    at: datetime
    why: str = ""
    duration_seconds: float | None = None

    def to_json(self) -> str:
        """Return the object's body: the fields, with the time in UTC, ISO 8601."""
        return json.dumps({**asdict(self), "at": self.at.astimezone(UTC).isoformat()})

    @classmethod
    def from_json(cls, body: str | bytes) -> Event:
        """Parse a body. Fields that a later version of this code added are ignored.

        Raises:
            ValueError: the body is not an event; says why.
        """
        return parse(cls, body)


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release as its events describe it: how it began and its last outcome.

    ``prepared``: its migrations ran. ``succeeded``: it has succeeded, even if it was rolled back later. ``ended`` is
    when it succeeded, failed or was stopped, ``undone`` when its rollback was decided.
    """

    id: str
    kind: Kind
    outcome: Outcome
    service: str
    version: str
    digest: str
    revision: str
    schema_head: str | None
    schema_compatible: list[str] | None
    restores: str | None
    definition_digest: str | None
    prepared: bool
    succeeded: bool
    by: str
    why: str
    started: datetime
    ended: datetime | None
    undone: datetime | None
    duration_seconds: float | None

    @property
    def name(self) -> str:
        """Return the version with the definition: see `release_name`."""
        return release_name(self.version, self.definition_digest)

    @property
    def revision_name(self) -> str:
        """Return ``family:7`` of the task definition's ARN."""
        return self.revision.rpartition("/")[2]


def release_name(version: str, definition_digest: str | None) -> str:
    """Return the version and the beginning of its definition's digest, ``0123456789ab+3f2a``; without one, the version.

    One commit may run with several configurations, each with a definition of its own.
    """
    return f"{version}+{definition_digest[:SUFFIX_LENGTH]}" if definition_digest else version


def release_id(version: str, at: datetime) -> str:
    """Return an identifier that sorts by time: ``20260131T235959.123456Z-0123456789ab``."""
    safe_version = re.sub(r"[^A-Za-z0-9._-]", "-", version)
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{safe_version}"


def next_release_id(version: str, now: datetime, releases: Iterable[Release]) -> str:
    """Return the identifier of a release that begins now. It sorts last even if another machine's clock was ahead."""
    newest = max((started_at(release.id) for release in releases), default=None)
    return release_id(version, max(now, newest + timedelta(microseconds=1)) if newest else now)


def started_at(release: str) -> datetime:
    """Return when the release of this identifier began."""
    return datetime.strptime(release.partition("-")[0], "%Y%m%dT%H%M%S.%f%z")


def fold(events: Iterable[Event]) -> list[Release]:
    """Return the releases, oldest first, each with its last outcome. The order of the events does not matter.

    ``in_progress``, ``prepared``, ``baking`` and ``unverified`` never follow an end, ``rolling_back`` follows one, and
    nothing follows ``rolled_back``: if two clocks disagree, or two flows write at once, the later in this order wins.
    """
    by_release: dict[str, list[Event]] = {}
    for event in events:
        by_release.setdefault(event.release, []).append(event)
    return [_release(sorted(history, key=_event_order)) for _, history in sorted(by_release.items())]


def _event_order(event: Event) -> tuple[int, datetime]:
    return (_ORDER.get(event.outcome, len(_BEGINNINGS)), event.at)


def _release(history: Sequence[Event]) -> Release:
    first, last = history[0], history[-1]
    ends = [event.at for event in history if event.outcome not in (*_BEGINNINGS, *_ROLLBACKS)]
    undone = min((event.at for event in history if event.outcome in _ROLLBACKS), default=None)
    durations = [event.duration_seconds for event in history if event.duration_seconds is not None]
    return Release(
        id=first.release,
        kind=first.kind,
        outcome=last.outcome,
        service=first.service,
        version=first.version,
        digest=first.digest,
        revision=first.revision,
        schema_head=first.schema_head,
        schema_compatible=first.schema_compatible,
        restores=first.restores,
        definition_digest=first.definition_digest,
        prepared=any(event.outcome is Outcome.PREPARED for event in history),
        succeeded=any(event.outcome is Outcome.SUCCEEDED for event in history),
        by=first.by,
        why=last.why or first.why,
        started=first.at,
        ended=ends[-1] if ends else undone,
        undone=undone,
        duration_seconds=durations[0] if durations else None,
    )


def of_service(releases: Iterable[Release], service: str) -> list[Release]:
    """Return the releases of this incarnation of the service."""
    return [release for release in releases if release.service == service]


def serving(releases: Sequence[Release]) -> Release | None:
    """Return the newest release that succeeded and was not rolled back; None before the first success.

    A release that is being rolled back serves until another one succeeds.
    """
    succeeded = [release for release in releases if release.succeeded]
    if succeeded and succeeded[-1].outcome is Outcome.ROLLING_BACK:
        return succeeded[-1]
    return next((release for release in reversed(succeeded) if release.outcome is Outcome.SUCCEEDED), None)


def origin(releases: Sequence[Release], release: Release) -> Release:
    """Return the release that a rollback put back; any other release itself."""
    return next((item for item in releases if item.id == release.restores), release)


def rolled_back(releases: Sequence[Release]) -> list[Release]:
    """Return the releases that were rolled back, or whose rollback was decided, and that have not succeeded since."""
    last: dict[str, tuple[Release, Outcome]] = {}
    for release in releases:
        if release.outcome in (Outcome.SUCCEEDED, *_ROLLBACKS):
            way_forward = origin(releases, release)
            last[way_forward.revision] = (way_forward, release.outcome)
    return [release for release, outcome in last.values() if outcome in _ROLLBACKS]


def rolling_back(releases: Sequence[Release]) -> list[Release]:
    """Return the releases and rollbacks that are being rolled back and have not succeeded since."""
    undone = {release.revision for release in rolled_back(releases)}
    return [
        release
        for release in releases
        if release.outcome is Outcome.ROLLING_BACK and origin(releases, release).revision in undone
    ]


def unfinished_rollback(releases: Sequence[Release]) -> Release | None:
    """Return the target of the newest rollback if that rollback failed or has no recorded end.

    None if another release has succeeded or begun since then, or if the target serves nevertheless.
    """
    for release in reversed(releases):
        if release.succeeded or (release.kind is Kind.RELEASE and release.outcome in _BEGINNINGS):
            return None
        if release.kind is Kind.ROLLBACK:
            target, current = origin(releases, release), serving(releases)
            serves = current is not None and origin(releases, current).id == target.id
            done = release.outcome not in _BEGINNINGS and serves and not rolling_back(releases)
            return None if target is release or done else target
    return None


def last_target(releases: Sequence[Release]) -> Release | None:
    """Return the target of the newest rollback if the release that serves is being rolled back; else None.

    Unlike `unfinished_rollback`, it also returns the target if another release has begun since then.
    """
    current = serving(releases)
    if current is None or current.outcome is not Outcome.ROLLING_BACK:
        return None
    later = releases[releases.index(current) + 1 :]
    rollback = next((item for item in reversed(later) if item.kind is Kind.ROLLBACK), current)
    target = origin(releases, rollback)
    return None if target in (rollback, origin(releases, current)) else target


def last_word(releases: Sequence[Release], about: Callable[[Release], bool]) -> Release | None:
    """Return the release with the latest success or rollback decision among these; None if there is none."""

    def when(release: Release) -> datetime:
        return release.undone or release.ended or release.started

    spoken = [item for item in releases if (item.undone or item.outcome is Outcome.SUCCEEDED) and about(item)]
    return max(spoken, key=when, default=None)


def earlier_successes(releases: Sequence[Release]) -> list[Release]:
    """Return the targets of successive relative rollbacks, in order.

    Each is the newest success *before* the revision that serves then. "Before" is measured from that revision's first
    release, not from a rollback that brought it back: so each rollback goes one further back instead of to and fro.
    Revisions that failed or were rolled back are skipped.
    """
    current = serving(releases)
    if current is None:
        return []
    forward = [release for release in releases if release.kind is Kind.RELEASE]
    skipped = {release.revision for release in rolled_back(releases)}
    found: list[Release] = []
    revision = origin(releases, current).revision
    while True:
        first = next((index for index, release in enumerate(forward) if release.revision == revision), 0)
        for release in reversed(forward[:first]):
            if release.outcome is Outcome.SUCCEEDED and release.revision not in skipped:
                found.append(release)
                revision = release.revision
                break
        else:
            return found


def unfinished(releases: Iterable[Release]) -> list[Release]:
    """Return the releases without an end, oldest first: those interrupted, and those not verified."""
    return [release for release in releases if release.outcome in _BEGINNINGS]


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """An object of the ledger that is not the event that its key names.

    ``release`` and ``outcome`` come from the key; ``outcome`` is None if it names none. ``at`` is when S3 stored the
    object. ``known``: the ledger has other events of this release.
    """

    address: str
    why: str
    release: str
    outcome: Outcome | None
    at: datetime
    known: bool = False

    def __str__(self) -> str:
        instead = (
            "its name and the release's other events are used instead" if self.known and self.outcome else "left out"
        )
        return f"{self.address} is not a ledger event ({self.why}): {instead}"

    def recovered(self, other: Event) -> Event | None:
        """Rebuild the event from its key and another event of its release; None if the key names no outcome."""
        if self.outcome is None:
            return None
        why = f"(its record cannot be read: {self.why})"
        return replace(other, outcome=self.outcome, at=self.at, why=why, duration_seconds=None)


@dataclass(frozen=True, kw_only=True)
class History:
    """The releases in the ledger, oldest first, and the objects that could not be read.

    ``more``: a limit of reads left out older releases.
    """

    releases: list[Release]
    unreadable: list[Unreadable]
    more: bool = False


class Ledger:
    """The ledger of one environment, in ``bucket`` under ``ledger/<environment>/``. Reads an unchanged object once."""

    def __init__(self, s3: Any, bucket: str, environment: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = f"ledger/{environment}/"
        self._read_before: dict[tuple[str, str], Event | Unreadable] = {}

    def append(self, event: Event) -> bool:
        """Record an event. Return False if this outcome of this release is recorded already.

        Raises:
            LedgerError: the bucket refused the write.
        """
        key = f"{self._prefix}{event.release}/{event.outcome}.json"
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=event.to_json().encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except (ClientError, BotoCoreError) as error:
            # 409 means that another conditional write to this key is in progress: it records this outcome.
            if error_code(error) in ("PreconditionFailed", "ConditionalRequestConflict"):
                return False
            raise LedgerError(f"cannot write s3://{self._bucket}/{key}: {error}") from error
        return True

    def has_ended(self, release: str) -> bool:
        """Return whether any run has recorded an end of this release."""
        ends = {f"{self._prefix}{release}/{outcome}.json" for outcome in Outcome if outcome not in _BEGINNINGS}
        return any(key in ends for key in self._listing(f"{self._prefix}{release}/"))

    def releases(self, newest: int = NEWEST) -> list[Release]:
        """Return the releases of `history`."""
        return self.history(newest).releases

    def history(self, newest: int = NEWEST, reads: int | None = None) -> History:
        """Return the ``newest`` releases and the ``newest`` that ever succeeded, oldest first.

        The history is empty if the bucket does not exist. ``reads`` limits how many objects this call fetches, those of
        the newest releases first; a later call fetches others. The newest release is always read, and with ``reads``
        above zero at least one more.

        Raises:
            LedgerError: the bucket does not answer.
        """
        etags = self._listing(self._prefix)
        wanted: list[list[str]] = []  # newest first
        releases, fetched = _wanted(etags, self._prefix, newest), 0
        for keys in reversed(releases):
            unread = sum((key, etags[key]) not in self._read_before for key in keys)
            fetched += unread
            if reads is not None and wanted and unread and fetched > reads and (unread < fetched or not reads):
                break
            wanted.append(keys)
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            read = list(pool.map(lambda key: self._read(key, etags[key]), chain.from_iterable(reversed(wanted))))
        events = [item for item in read if isinstance(item, Event)]
        by_release = {event.release: event for event in events}
        unreadable = [replace(item, known=item.release in by_release) for item in read if isinstance(item, Unreadable)]
        recovered = [item.recovered(by_release[item.release]) for item in unreadable if item.known]
        more = len(wanted) < len(releases)
        return History(releases=fold([*events, *filter(None, recovered)]), unreadable=unreadable, more=more)

    def _listing(self, prefix: str) -> dict[str, str]:
        """Return the objects' keys with their ETags."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        try:
            return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}
        except (ClientError, BotoCoreError) as error:
            if error_code(error) == "NoSuchBucket":
                return {}
            raise LedgerError(f"cannot list s3://{self._bucket}/{prefix}: {error}") from error

    def _read(self, key: str, etag: str) -> Event | Unreadable:
        if (key, etag) not in self._read_before:
            self._read_before[key, etag] = self._fetch(key)
        return self._read_before[key, etag]

    def _fetch(self, key: str) -> Event | Unreadable:
        address = f"s3://{self._bucket}/{key}"
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=key)
            body: bytes = answer["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise LedgerError(f"cannot read {address}: {error}") from error
        release, _, file = key.removeprefix(self._prefix).partition("/")
        outcome = next((item for item in Outcome if file == f"{item}.json"), None)
        try:
            event = Event.from_json(body)
            if (event.release, event.outcome) == (release, outcome):
                return event
            why = f"it says {event.outcome} of {event.release}"
        except ValueError as error:
            why = str(error)
        return Unreadable(address=address, why=why, release=release, outcome=outcome, at=answer["LastModified"])


def _wanted(keys: Iterable[str], prefix: str, newest: int) -> list[list[str]]:
    """Return the keys of each release to read: the newest, and the newest that succeeded; oldest first."""
    by_release: dict[str, list[str]] = {}
    for key in filter(lambda key: not key.endswith("/"), keys):  # a folder made in the console
        by_release.setdefault(key.removeprefix(prefix).partition("/")[0], []).append(key)
    ids = sorted(by_release)
    succeeded = [name for name in ids if any(key.endswith(f"/{Outcome.SUCCEEDED}.json") for key in by_release[name])]
    return [by_release[name] for name in sorted({*ids[-newest:], *succeeded[-newest:]})]


def as_row(release: Release) -> dict[str, Any]:
    """Return a release as plain JSON values, for facts and for ``status -o json``."""
    row: dict[str, Any] = asdict(release) | {"name": release.name}
    for name, value in row.items():
        if isinstance(value, datetime):
            row[name] = value.astimezone(UTC).isoformat()
        elif isinstance(value, StrEnum):
            row[name] = str(value)
    return row


def actor(environ: Mapping[str, str]) -> str:
    """Return who runs this: the person behind a GitHub Actions run with the run's URL, else ``user@host``.

    Variables: https://docs.github.com/en/actions/reference/workflows-and-actions/variables
    """
    person_and_run = "{GITHUB_ACTOR} ({GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID})"
    if environ.get("GITHUB_ACTIONS") == "true":
        with suppress(KeyError):
            return person_and_run.format_map(environ)
    return f"{user_name()}@{socket.gethostname()}"

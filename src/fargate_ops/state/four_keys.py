"""DORA's four keys of one environment, from its ledger and the commits of its versions.

https://dora.dev/guides/dora-metrics/ defines them, and `MEANINGS` says how they are counted here. The ledger does not
say when a failure began. So a failure lasts from the start of a release that failed, which restores the previous
version itself, and from the success of a release that was rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from fargate_ops.state.ledger import NEWEST, Kind, Outcome, Release

DAYS = 30
DEFINITIONS = "https://dora.dev/guides/dora-metrics/"
MEANINGS = {
    "deployment frequency": "releases that succeeded, of code or of configuration",
    "lead time for changes": "from a version's commit to its first success, the median",
    "change failure rate": "releases that failed, were stopped or were rolled back, of all that ended",
    "time to restore": "from a failed release to the next success, the median",
}
_NOT_KNOWN = "not known"
_FAILED = (Outcome.FAILED, Outcome.STOPPED, Outcome.ROLLING_BACK, Outcome.ROLLED_BACK)


@dataclass(frozen=True, kw_only=True)
class FourKeys:
    """The keys of the last ``days``. Times are in seconds; None: there was none, or it is not known.

    ``ended`` and ``failed`` count releases. ``lead_times`` and ``restores`` are how many values the medians have,
    ``unknown_commits`` and ``unrestored`` how many versions and failures have none.
    """

    days: int
    deployments: int
    lead_time: float | None
    lead_times: int
    unknown_commits: int
    ended: int
    failed: int
    time_to_restore: float | None
    restores: int
    unrestored: int

    @property
    def failure_rate(self) -> float | None:
        """Return the share of failed releases; None if none ended."""
        return self.failed / self.ended if self.ended else None

    def as_row(self) -> dict[str, Any]:
        return asdict(self) | {"failure_rate": self.failure_rate, "definitions": DEFINITIONS}

    def as_text(self) -> dict[str, str]:
        """Return each key's value as text, by the key's name."""
        per_week = f"{self.deployments / self.days * 7:.1f} a week"
        unknown = f"{self.unknown_commits} {_NOT_KNOWN}: this clone lacks the commit" if self.unknown_commits else ""
        lead = f"{_duration(self.lead_time)}, median of {self.lead_times}" if self.lead_times else ""
        restored = f"{_duration(self.time_to_restore)}, median of {self.restores}" if self.restores else ""
        unrestored = f"{self.unrestored} not restored yet" if self.unrestored else ""
        rate = f"{self.failed / self.ended:.0%}, {self.failed} of {self.ended}" if self.ended else "no release ended"
        values = (
            f"{per_week}, {self.deployments} in {self.days} days",
            "; ".join(filter(None, (lead, unknown))) or "no new version",
            rate,
            "; ".join(filter(None, (restored, unrestored))) or "no failure",
        )
        return dict(zip(MEANINGS, values, strict=True))


def four_keys(releases: Sequence[Release], commits: Mapping[str, datetime], now: datetime) -> FourKeys:
    """Return the keys. ``releases`` are the ledger's, oldest first; ``commits`` are the times of known versions."""
    since = now - timedelta(days=DAYS)
    if len(releases) >= NEWEST:  # older ones may not have been read
        since = max(since, releases[0].started)
    forward = [release for release in releases if release.kind is Kind.RELEASE]
    recent = [release for release in forward if release.ended and release.ended >= since]
    ended = [release for release in recent if release.succeeded or release.outcome in _FAILED]
    failed = [release for release in ended if release.outcome in _FAILED]
    firsts = [release for release in _firsts(forward) if release in recent]
    leads = [_seconds(commits[item.version], item.ended) for item in firsts if item.version in commits and item.ended]
    restored = [_restored(release, releases) for release in failed]
    times = [_seconds(_began(item), at) for item, at in zip(failed, restored, strict=True) if at]
    return FourKeys(
        days=max(1, round((now - since) / timedelta(days=1))),
        deployments=sum(release.succeeded for release in recent),
        lead_time=median(leads) if leads else None,
        lead_times=len(leads),
        unknown_commits=len(firsts) - len(leads),
        ended=len(ended),
        failed=len(failed),
        time_to_restore=median(times) if times else None,
        restores=len(times),
        unrestored=len(failed) - len(times),
    )


def _firsts(releases: Sequence[Release]) -> list[Release]:
    """Return the first success of each version."""
    first: dict[str, Release] = {}
    for release in releases:
        if release.succeeded:
            first.setdefault(release.version, release)
    return list(first.values())


def _began(release: Release) -> datetime:
    """Return when a failure may have begun."""
    return release.ended if release.succeeded and release.ended else release.started


def _restored(release: Release, releases: Sequence[Release]) -> datetime | None:
    """Return when the service was restored after a failed release; None if it is not yet."""
    earlier = releases[: releases.index(release)]
    if release.outcome is Outcome.FAILED and any(
        item.succeeded and item.service == release.service for item in earlier
    ):
        return release.ended
    later = (item.ended for item in releases if item.succeeded and item.ended and item.ended > _began(release))
    return min(later, default=None)


def _seconds(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())


def _duration(seconds: float | None) -> str:
    """Return a duration in its two largest units: ``3 d 4 h``, ``2 h 5 min``, ``4 min 10 s``, ``9 s``."""
    if seconds is None:
        return _NOT_KNOWN
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    rest, shown = round(seconds), list[str]()
    for name, length in units:
        count, rest = divmod(rest, length)
        if count or shown:
            shown.append(f"{count} {name}")
    return " ".join(shown[:2]) or "0 s"

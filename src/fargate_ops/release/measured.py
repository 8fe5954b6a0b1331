"""The four keys of an environment, with the commits that this clone has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from fargate_ops.core.problem import ProblemError
from fargate_ops.image.git import commit_times
from fargate_ops.state.four_keys import FourKeys, four_keys
from fargate_ops.state.ledger import Release


def measured(releases: Sequence[Release], source: Path, now: datetime) -> FourKeys:
    """Return the four keys. Without git, or outside a clone, no commit is known. ``source`` is the image's folder."""
    try:
        commits = commit_times(source, (release.version for release in releases))
    except ProblemError:
        commits = {}
    return four_keys(releases, commits, now)

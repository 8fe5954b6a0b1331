"""The schema that an image needs, and whether a database has it.

A database at a revision that an image does not know was migrated by a later image. A rolled-back image must accept it.
That is safe because migrations only expand before a release and contract after it.
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Schema:
    """The revisions of an image.

    `head` is the newest; `revisions` are all. `compatible` are those whose code still works with a database at `head`:
    their history contains every migration with `contract = True`.
    """

    head: str
    compatible: tuple[str, ...]
    revisions: tuple[str, ...]

    def is_current(self, revisions: Collection[str]) -> bool:
        """Return whether a database at these revisions is at this image's head or later."""
        return self.head in revisions or any(revision not in self.revisions for revision in revisions)

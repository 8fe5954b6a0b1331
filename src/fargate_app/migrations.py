"""An application's migrations.

The image's build reads the revisions with Alembic (the admin command's `schema`) and stores the result beside their
folder, so the service knows its schema without importing Alembic. A checkout has no such file and reads the revisions
when needed.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fargate_app.schema import Schema

if TYPE_CHECKING:
    from sqlalchemy import MetaData


@dataclass(frozen=True)
class Migrations:
    """Alembic migrations: the revisions below `folder/versions`.

    The naming convention of `metadata` applies to the constraints that they create.
    """

    folder: Path
    metadata: "MetaData | None" = None

    @cached_property
    def schema(self) -> Schema:
        """The schema of this image. Raises fargate_app.revisions.RevisionsError outside an image."""
        built = self.folder.parent / "schema.json"
        if built.exists():
            found = json.loads(built.read_text())
            return Schema(found["head"], tuple(found["compatible"]), tuple(found["revisions"]))
        from fargate_app import revisions  # not above: the service must not import Alembic

        return revisions.read(self.folder)

"""The schema of an image, as its own build recorded it in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fargate_ops.core.problem import ProblemError


@dataclass(frozen=True)
class Schema:
    """``head`` is the newest revision, empty if unknown; ``compatible`` are those whose code works with it."""

    head: str = ""
    compatible: tuple[str, ...] = ()


def read_schema(content: bytes | None, path: str) -> Schema:
    """Return the schema in a file of the image: a JSON object with `head` and `compatible`.

    Raises ProblemError if there is no such file. Otherwise an image with an unknown schema would be released, and the
    database never migrated.
    """
    try:
        said = json.loads(content or b"")
        return Schema(str(said["head"]), tuple(str(revision) for revision in said["compatible"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ProblemError(
            "The image does not declare its schema: " + (repr(error) if content else "it has no such file."),
            f"/{path} in the image",
            "let the Dockerfile write it (docs/your-application.md), or set app_schema_file to where it is; empty is "
            "an image without a schema",
        ) from error

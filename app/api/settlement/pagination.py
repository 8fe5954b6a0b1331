"""Keyset pagination: a cursor is the sort key of the last row seen, so no page repeats or skips a row.

Cursors are opaque to clients: base64url of the key's parts, joined by commas.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, TypeVar

from fastapi import Query
from pydantic import BaseModel
from pydantic.json_schema import SkipJsonSchema

from fargate_app.problems import InvalidInput

Row = TypeVar("Row")

Limit = Annotated[int, Query(ge=1, le=200, description="Rows per page.")]
CursorParameter = Annotated[
    str | SkipJsonSchema[None],
    Query(max_length=200, description="`next_cursor` of the previous page; omitted for the first page."),
]


class Page(BaseModel):
    """Base of all pages; each adds its `items`."""

    next_cursor: str | None


def encode_cursor(*parts: object) -> str:
    """Encode the parts of a sort key as a cursor. They must not contain a comma."""
    return base64.urlsafe_b64encode(",".join(map(str, parts)).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, parts: int) -> list[str]:
    """Return the parts of a cursor. Raises InvalidInput if it has another number of parts."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        values = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").split(",")
    except (binascii.Error, UnicodeError) as error:
        raise invalid_cursor() from error
    if len(values) != parts:
        raise invalid_cursor()
    return values


def invalid_cursor() -> InvalidInput:
    """Return the error for a cursor that this service did not issue."""
    return InvalidInput("invalid-cursor", "This service did not issue the cursor.")


def split_page(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], Row | None]:
    """Split up to `limit + 1` rows into the page and the row after which the next page starts (None at the end)."""
    return (rows[:limit], rows[limit - 1]) if len(rows) > limit else (rows, None)

"""Keyset pagination: a cursor is the sort key of the last row seen, so no page repeats or skips a row.

Cursors are opaque to clients: base64url of the key's parts, joined by commas.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, TypeVar

from fastapi import Query
from pydantic import BaseModel

from settlement.problems import InvalidInput

Row = TypeVar("Row")

Limit = Annotated[int, Query(ge=1, le=200, description="Rows in a page.")]
CursorParameter = Annotated[
    str | None, Query(max_length=200, description="`next_cursor` of the page before; none for the first page.")
]


class Page(BaseModel):
    """What every page has beside its items."""

    next_cursor: str | None


def encode_cursor(*parts: object) -> str:
    """Make a cursor of a sort key's parts, which must hold no comma."""
    return base64.urlsafe_b64encode(",".join(map(str, parts)).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, parts: int) -> list[str]:
    """Take a cursor apart. Raises InvalidInput when it does not hold that many parts."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        values = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").split(",")
    except (binascii.Error, UnicodeError) as error:
        raise invalid_cursor() from error
    if len(values) != parts:
        raise invalid_cursor()
    return values


def invalid_cursor() -> InvalidInput:
    """The error for a cursor that this service did not make."""
    return InvalidInput("invalid-cursor", "The cursor is not one that this service gave.")


def split_page(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], Row | None]:
    """Of `limit + 1` rows asked for, give the page and the row after which the next page starts (None at the end)."""
    return (rows[:limit], rows[limit - 1]) if len(rows) > limit else (rows, None)

"""Read values from foreign JSON: any input gives a usable value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def text(body: Mapping[str, Any], key: str) -> str:
    """Return the value as text: empty if it is null or absent, the beginning of its text form if it is no text."""
    value = body.get(key)
    return value if isinstance(value, str) else "" if value is None else str(value)[:1000]


def mapping(value: object) -> dict[str, Any]:
    """Return the object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return the list, or an empty one."""
    return value if isinstance(value, list) else []


def digest(*parts: str) -> str:
    """Return one short id for all parts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def instant(text: str) -> datetime | None:
    """Parse an ISO 8601 time, in UTC if it names no zone. Return None for anything else."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None

"""Values out of JSON that somebody else wrote: whatever is there, something usable comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def text(body: Mapping[str, Any], key: str) -> str:
    """The value as text; nothing for null and for what is absent, the beginning of what is no text."""
    value = body.get(key)
    return value if isinstance(value, str) else "" if value is None else str(value)[:1000]


def mapping(value: object) -> dict[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """The list, or an empty one."""
    return value if isinstance(value, list) else []


def digest(*parts: str) -> str:
    """One short name for all of them, whatever they hold."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def instant(text: str) -> datetime | None:
    """An ISO 8601 time, in UTC where it names no zone; None for anything else."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None

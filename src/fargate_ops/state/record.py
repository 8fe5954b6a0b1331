"""Parse a JSON object of the state bucket into a dataclass, without trusting it.

Anybody with write access can put anything into the bucket. An accepted object has every field, each of its declared
type, and its times have a zone.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def parse(kind: type[T], body: str | bytes) -> T:
    """Parse a JSON object into the dataclass ``kind``. Unknown fields are ignored; a time without a zone is UTC.

    Raises:
        ValueError: it is not JSON, a field is missing, or one has another type; the message says which.
    """
    try:
        values = json.loads(body)
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    types = get_type_hints(kind)
    found = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in values:
            found[field.name] = _value(field.name, values[field.name], types[field.name])
        elif field.default is MISSING:
            raise ValueError(f"it has no {field.name}")
    return kind(**found)


def _value(name: str, value: Any, wanted: Any) -> Any:
    for kind in get_args(wanted) if isinstance(wanted, UnionType) else (wanted,):
        try:
            return _of_type(value, kind)
        except (ValueError, OverflowError):
            continue
    raise ValueError(f"its {name} is {str(value)[:40]!r}")


def _of_type(value: Any, kind: Any) -> Any:
    if kind is datetime and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if kind is float and type(value) in (int, float):
        return float(value)
    if get_origin(kind) is list and isinstance(value, list):
        (item,) = get_args(kind)
        return [_of_type(member, item) for member in value]
    if isinstance(value, str):
        value.encode()  # a lone surrogate is valid JSON, but cannot be printed or logged
        if kind is not str and isinstance(kind, type) and issubclass(kind, StrEnum):
            return kind(value)
    if type(value) is kind or (value is None and kind is NoneType):
        return value
    raise ValueError

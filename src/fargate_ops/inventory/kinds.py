"""Kinds of values: how the inventory's values are read and checked.

A value may come as text from the command line (`-e app_max_tasks=4`), so digits count as a number and `true` as a flag,
as in Terraform.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

REQUIRED: Any = object()


@dataclass(frozen=True)
class Kind:
    """A kind of value. `must_be` completes "It must be …", `example` is such a value as YAML.

    `read` returns the value with its type, or raises ValueError. `default` applies if the inventory does not set it.
    """

    read: Callable[[Any], Any]
    must_be: str
    example: str
    default: Any = REQUIRED


def whole(low: int, high: int | None = None, *, example: int) -> Kind:
    """A whole number from `low` to `high`."""

    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?(?:0|[1-9]\d*)", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            raise ValueError
        return int(value)

    return Kind(read, f"a whole number, {_range(low, high)}", str(example))


def number(above: float, *, including: bool = False, example: float) -> Kind:
    """A number above `above`, or that number as well."""

    def read(value: Any) -> float:
        if isinstance(value, str) and re.fullmatch(r"-?\d+(?:\.\d+)?", value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        if not (value > above or (including and value == above)):  # also refuses .nan
            raise ValueError
        return value

    return Kind(read, f"a number, {above:g} or more" if including else f"a number above {above:g}", f"{example:g}")


def tenths(low: float, high: float, *, example: float) -> Kind:
    """A multiple of 0.1 from `low` to `high`."""
    of_any_size = number(low, including=True, example=example)

    def read(value: Any) -> float:
        found = float(of_any_size.read(value))
        if found > high or round(found * 10, 6) != round(found * 10):
            raise ValueError
        return found

    return Kind(read, f"a multiple of 0.1 from {low:g} to {high:g}", f"{example:g}")


def flag() -> Kind:
    """True or false."""

    def read(value: Any) -> bool:
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if not isinstance(value, bool):
            raise ValueError
        return value

    return Kind(read, "true or false", "true")


def one_of(*values: Any) -> Kind:
    """One of these values."""

    def read(value: Any) -> Any:
        found = [known for known in values if type(known) is not bool and str(known) == str(value)]
        if isinstance(value, bool) or not found:
            raise ValueError
        return found[0]

    return Kind(read, f"one of {listed(values)}", str(values[0]))


def text(pattern: str, must_be: str, *, example: str) -> Kind:
    """Text that the whole of `pattern` matches."""
    compiled = re.compile(pattern)

    def read(value: Any) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise ValueError
        return str(value)

    return Kind(read, must_be, example)


def network(low: int, high: int, must_be: str, *, example: str) -> Kind:
    """An IPv4 range with a prefix from `low` to `high` and no host bits set; reads as text."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or "/" not in value:
            raise ValueError
        found = ipaddress.IPv4Network(value)
        # Python accepts 10.0.0.0/255.255.0.0, AWS does not.
        if not low <= found.prefixlen <= high or str(found) != value:
            raise ValueError
        return str(value)

    return Kind(read, must_be, example)


def optional(kind: Kind) -> Kind:
    """A value of this kind, or null."""
    return Kind(lambda value: None if value is None else kind.read(value), f"{kind.must_be}, or null", kind.example)


def with_default(kind: Kind, default: Any) -> Kind:
    """A value of this kind that the inventory need not set."""
    return replace(kind, default=default)


def list_of(kind: Kind, must_be: str, *, at_least: int = 0) -> Kind:
    """A list of values of this kind."""

    def read(value: Any) -> list[Any]:
        if isinstance(value, str | Mapping) or not isinstance(value, Sequence) or len(value) < at_least:
            raise ValueError
        return [kind.read(item) for item in value]

    return Kind(read, must_be, f"[{kind.example}]")


def mapping(must_be: str, *, example: str, **keys: Kind) -> Kind:
    """A map with these keys, each of its kind; any map if none are given."""

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or (keys and not value.keys() <= keys.keys()):
            raise ValueError
        if not keys:
            return dict(value)
        missing = {key: kind.default for key, kind in keys.items() if key not in value}
        if REQUIRED in missing.values():
            raise ValueError
        return missing | {key: keys[key].read(item) for key, item in value.items()}

    return Kind(read, must_be, example)


def listed(values: Sequence[Any] | Mapping[Any, Any]) -> str:
    """Return these values in one line."""
    return ", ".join(map(str, values))


def _range(low: int, high: int | None) -> str:
    return f"{low} or more" if high is None else f"from {low} to {high}"

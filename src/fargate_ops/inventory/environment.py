"""The values of one environment as the rules read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fargate_ops.core.problem import Problem


class UnreadError(Exception):
    """A value that a rule needs is missing or wrong, which another check reports."""


@dataclass(frozen=True)
class Environment:
    """The values by variable, and their places by variable and, in a map, key."""

    values: Mapping[str, Any]
    places: Mapping[tuple[str, ...], str]

    def __getitem__(self, name: str) -> Any:
        """Return the value. Raises UnreadError."""
        try:
            return self.values[name]
        except KeyError:
            raise UnreadError(name) from None

    def problem(self, variables: str | tuple[str, ...], what: str, next_step: str, *more: str) -> Problem:
        """Return a problem of one variable, of one of its keys, or of several variables."""
        paths = [(variables,) if isinstance(variables, str) else variables, *((name,) for name in more)]
        return Problem(what, ", ".join(map(self._where, paths)), next_step)

    def _where(self, path: tuple[str, ...]) -> str:
        place = self.places.get(path) or self.places.get(path[:1]) or "inventory"
        return f"{'.'.join(path)} ({place})"

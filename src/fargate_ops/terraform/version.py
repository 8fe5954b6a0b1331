"""Versions and version constraints as Terraform writes them.

Rules: https://developer.hashicorp.com/terraform/language/expressions/version-constraints
(a pre-release matches only a constraint that names it exactly; ``~>`` lets the last given part grow).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from fargate_ops.core.problem import OperationsError

_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_CLAUSE = re.compile(r"(=|!=|>=|<=|>|<|~>)?\s*(\S+)")


class VersionError(OperationsError, ValueError):
    """A text is no version, or no constraint."""


@total_ordering
@dataclass(frozen=True)
class Version:
    """``major.minor.patch[-prerelease]``; missing parts are zero."""

    release: tuple[int, int, int]
    prerelease: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Parse a version. Raises VersionError if `text` is none."""
        match = _VERSION.fullmatch(text.strip())
        if match is None:
            raise VersionError(f"{text!r} is not a version such as 1.14.0")
        major, minor, patch, prerelease = match.groups()
        return cls((int(major), int(minor or 0), int(patch or 0)), prerelease or "")

    def __lt__(self, other: Version) -> bool:
        # A pre-release comes before its release.
        return (self.release, not self.prerelease, self.prerelease) < (
            other.release,
            not other.prerelease,
            other.prerelease,
        )

    def __str__(self) -> str:
        return ".".join(map(str, self.release)) + (f"-{self.prerelease}" if self.prerelease else "")


@dataclass(frozen=True)
class _Clause:
    operator: str
    version: Version
    parts: int  # how many parts were written: `~> 1.2` and `~> 1.2.0` differ

    def allows(self, version: Version) -> bool:
        match self.operator:
            case "=":
                return version == self.version
            case "!=":
                return version != self.version
            case ">":
                return version > self.version
            case ">=":
                return version >= self.version
            case "<":
                return version < self.version
            case "<=":
                return version <= self.version
            case _:  # ~>
                fixed = max(self.parts - 1, 1)
                return version >= self.version and version.release[:fixed] == self.version.release[:fixed]


@dataclass(frozen=True)
class Constraint:
    """A comma-separated list of clauses, all of which must hold."""

    text: str
    clauses: tuple[_Clause, ...]

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Parse a constraint. Raises VersionError if a clause is malformed or there is none."""
        clauses = []
        for part in text.split(","):
            match = _CLAUSE.fullmatch(part.strip())
            if match is None:
                raise VersionError(f"{text!r} is not a version constraint such as '>= 1.11, < 2.0' or '1.14.0'")
            operator, version = match.groups()
            parts = version.partition("-")[0].count(".") + 1
            clauses.append(_Clause(operator or "=", Version.parse(version), parts))
        return cls(text.strip(), tuple(clauses))

    def allows(self, version: Version) -> bool:
        if version.prerelease and not any(c.operator == "=" and c.version == version for c in self.clauses):
            return False
        return all(clause.allows(version) for clause in self.clauses)

    @property
    def exact(self) -> Version | None:
        """The only allowed version, if the constraint names one."""
        return next((c.version for c in self.clauses if c.operator == "="), None)

    def __str__(self) -> str:
        return self.text

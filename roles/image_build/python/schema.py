"""The schema that an image brings, read from its Alembic revisions without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from roles.image_build.python.source import File
from roles.preflight.python.problem import ProblemError


@dataclass(frozen=True)
class Schema:
    """``head`` is the newest revision, empty without migrations.

    ``compatible`` are the heads whose code still works once the database is at ``head``, sorted: all of its ancestors
    down to the newest migration that says ``contract = True`` at its top level, that one included. Everything older
    may use what it removed.
    """

    head: str = ""
    compatible: tuple[str, ...] = ()


def read_schema(files: Iterable[File], migrations: str) -> Schema:
    """The schema of the revisions in the folder `migrations`.

    Raises ProblemError when there is more than one head: `alembic upgrade head` would fail in the middle of a release.
    """
    parents: dict[str, tuple[str, ...]] = {}
    contracts: set[str] = set()
    for file in files:
        folder, _, name = file.path.rpartition("/")
        if folder == migrations and name.endswith(".py"):
            values = _assignments(file)
            for revision in _strings(values, "revision"):
                parents[revision] = _strings(values, "down_revision")
                if values.get("contract") == (True,):
                    contracts.add(revision)
    heads = sorted(parents.keys() - {parent for many in parents.values() for parent in many})
    if len(heads) > 1:
        raise ProblemError(
            f"The migrations have {len(heads)} heads: {', '.join(heads)}.",
            migrations,
            "make one follow the other by its down_revision, or run: alembic merge heads",
        )
    compatible: set[str] = set()
    ahead = list(heads)
    while ahead:
        revision = ahead.pop()
        if revision not in compatible:
            compatible.add(revision)
            ahead += () if revision in contracts else parents.get(revision, ())
    return Schema(heads[0] if heads else "", tuple(sorted(compatible)))


def _strings(values: Mapping[str, tuple[Any, ...]], name: str) -> tuple[str, ...]:
    return tuple(value for value in values.get(name, ()) if isinstance(value, str))


def _assignments(file: File) -> dict[str, tuple[Any, ...]]:
    """The constants (one, or those of a tuple) that the module assigns at its top level, by name."""
    try:
        module = ast.parse(file.content, filename=file.path)
    except SyntaxError as error:
        raise ProblemError(
            f"A migration is not valid Python: {error.msg}.", f"{file.path}:{error.lineno}", "fix it"
        ) from error
    values = {}
    for statement in module.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                values[name] = tuple(node.value for node in ast.walk(value) if isinstance(node, ast.Constant))
    return values

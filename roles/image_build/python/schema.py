"""The schema head that an image brings: the newest Alembic revision among its files, read without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from roles.image_build.python.source import File
from roles.preflight.python.problem import ProblemError


def schema_head(files: Iterable[File], migrations: str) -> str:
    """The one revision that no other names as its ``down_revision``; empty when the folder `migrations` has none.

    Raises ProblemError when there is more than one: `alembic upgrade head` would fail in the middle of a release.
    """
    revisions: set[str] = set()
    superseded: set[str] = set()
    for file in files:
        folder, _, name = file.path.rpartition("/")
        if folder == migrations and name.endswith(".py"):
            values = _assignments(file)
            revisions.update(values.get("revision", ()))
            superseded.update(values.get("down_revision", ()))
    heads = sorted(revisions - superseded)
    if len(heads) > 1:
        raise ProblemError(
            f"The migrations have {len(heads)} heads: {', '.join(heads)}.",
            migrations,
            "make one follow the other by its down_revision, or run: alembic merge heads",
        )
    return heads[0] if heads else ""


def _assignments(file: File) -> dict[str, tuple[str, ...]]:
    """The module's top-level string (or tuple of strings) constants by name."""
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
                constants = [node.value for node in ast.walk(value) if isinstance(node, ast.Constant)]
                values[name] = tuple(constant for constant in constants if isinstance(constant, str))
    return values

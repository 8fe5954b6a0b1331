from __future__ import annotations

import pytest

from roles.image_build.python.schema import schema_head
from roles.image_build.python.source import File
from roles.preflight.python.problem import ProblemError

FOLDER = "settlement/migrations/versions"


def migration(name: str, text: str) -> File:
    return File(f"{FOLDER}/{name}.py", False, text.encode())


def test_the_head_is_what_no_other_revision_follows() -> None:
    files = [
        migration("1", "revision = 'a1'\ndown_revision = None\n"),
        migration("2", "from x import y\nrevision: str = 'b2'\ndown_revision: str | None = 'a1'\nother: int\n"),
        migration("3", "revision = 'c3'\ndown_revision = 'a1'\n"),
        migration("4", "revision = 'd4'\ndown_revision = ('b2', 'c3')\nbranch_labels = None\na, b = 1, 2\n"),
        File(f"{FOLDER}/README", False, b"revision = 'zz'"),
        File("elsewhere/5.py", False, b"revision = 'yy'"),
    ]
    assert schema_head(files, FOLDER) == "d4"


def test_an_image_without_migrations_has_no_head() -> None:
    assert schema_head([File("Dockerfile", False, b"")], FOLDER) == ""


def test_two_heads_are_refused_before_a_release_meets_them() -> None:
    files = [migration(name, f"revision = '{name}'\ndown_revision = None\n") for name in ("b", "a")]
    with pytest.raises(ProblemError, match="2 heads: a, b"):
        schema_head(files, FOLDER)


def test_a_migration_that_does_not_parse_is_named_with_its_line() -> None:
    with pytest.raises(ProblemError, match="not valid Python") as caught:
        schema_head([migration("1", "revision = 'a1'\ndown_revision = (\n")], FOLDER)
    assert caught.value.problem.where == f"{FOLDER}/1.py:2"

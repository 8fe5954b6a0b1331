from __future__ import annotations

import pytest

from roles.image_build.python.schema import Schema, read_schema
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
    assert read_schema(files, FOLDER).head == "d4"


def test_an_image_without_migrations_has_no_head() -> None:
    assert read_schema([File("Dockerfile", False, b"")], FOLDER) == Schema()


def test_two_heads_are_refused_before_a_release_meets_them() -> None:
    files = [migration(name, f"revision = '{name}'\ndown_revision = None\n") for name in ("b", "a")]
    with pytest.raises(ProblemError, match="2 heads: a, b"):
        read_schema(files, FOLDER)


def test_a_migration_that_does_not_parse_is_named_with_its_line() -> None:
    with pytest.raises(ProblemError, match="not valid Python") as caught:
        read_schema([migration("1", "revision = 'a1'\ndown_revision = (\n")], FOLDER)
    assert caught.value.problem.where == f"{FOLDER}/1.py:2"


CHAIN = [
    migration("1", "revision = '0001'\ndown_revision = None\n"),
    migration("2", "revision = '0002'\ndown_revision = '0001'\n"),
    migration("3", "revision = '0003'\ndown_revision = '0002'\ncontract = True\n"),
    migration("4", "revision = '0004'\ndown_revision = '0003'\ncontract = False\n"),
]


@pytest.mark.parametrize(
    ("length", "compatible"), [(1, ("0001",)), (2, ("0001", "0002")), (3, ("0003",)), (4, ("0003", "0004"))]
)
def test_code_from_before_a_contract_migration_does_not_work_after_it(length: int, compatible: tuple[str, ...]) -> None:
    assert read_schema(CHAIN[:length], FOLDER).compatible == compatible

"""The first migration of an application: it creates what its models say."""

from __future__ import annotations

import enum
import io
import ssl
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from fargate_ops.adopt import first_revision
from fargate_ops.adopt.first_revision import revision, tables_of


class Lower(sa.TypeDecorator[str]):
    """A type of the application, such as SQLModel's AutoString."""

    impl = sa.String(20)
    cache_ok = True


class Kind(enum.Enum):
    SMALL = 1
    LARGE = 2


def models() -> sa.MetaData:
    names = {"ix": "ix_%(column_0_label)s", "uq": "uq_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"}
    metadata = sa.MetaData(naming_convention=names)
    sa.Table(
        "room",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", Lower, unique=True, nullable=False),
        sa.Column("seats", sa.Integer, default=4, nullable=False),
        sa.Column("kind", sa.Enum(Kind, name="kind"), server_default="SMALL", nullable=False),
        sa.Column("more", postgresql.JSONB),
    )
    sa.Table(
        "booking",
        metadata,
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("room_id", sa.ForeignKey("room.id", ondelete="CASCADE"), index=True, nullable=False),
        sa.Column("price", sa.Numeric(12, 2)),
        sa.Column("made", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Index("recent", "made", unique=True),
    )
    return metadata


def executed(text: str) -> str:
    """Return the statements of a migration's upgrade."""
    output = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": output, "literal_binds": True}
    )
    names: dict[str, Any] = {}
    exec(compile(text, "0001.py", "exec"), names)  # noqa: S102 - made by this package
    with Operations.context(context):
        names["upgrade"]()
    return output.getvalue()


def plain(statements: str) -> str:
    return " ".join(statements.split())


def test_it_creates_what_the_models_say() -> None:
    tables = models().sorted_tables
    text = revision(tables)
    made = plain(executed(text))
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    expected = [CreateTable(table) for table in tables]
    expected += [CreateIndex(index) for table in tables for index in sorted(table.indexes, key=lambda it: str(it.name))]
    for statement in expected:
        assert plain(str(statement.compile(dialect=dialect))) in made
    assert "CREATE TYPE kind" in made
    assert "Lower" not in text, "it imports nothing of the application"
    assert "DEFAULT 4" not in made, "a default of Python stays in the code"
    assert 'revision = "0001"\ndown_revision = None\n' in text


def test_a_check_of_a_column_is_one_of_its_table() -> None:
    metadata = sa.MetaData()
    sa.Table("a", metadata, sa.Column("price", sa.Integer, sa.CheckConstraint("price > 0", name="positive")))
    assert "CONSTRAINT positive CHECK (price > 0)" in executed(revision(metadata.sorted_tables))


def test_a_dialects_types_are_imported_only_if_they_are_used() -> None:
    metadata = sa.MetaData()
    sa.Table("a", metadata, sa.Column("made", sa.DateTime, default=datetime.now))
    assert "postgresql" not in revision(metadata.sorted_tables)
    assert "from sqlalchemy.dialects import postgresql\n" in revision(models().sorted_tables)


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "orders_models.py").write_text(
        "import sqlalchemy as sa\nfrom sqlalchemy.orm import declarative_base\nBase = declarative_base()\n"
        "class Order(Base):\n    __tablename__ = 'orders'\n    id = sa.Column(sa.Integer, primary_key=True)\n"
    )
    (tmp_path / "orders_main.py").write_text("import orders_models\n")
    (tmp_path / "orders_empty.py").write_text("import sqlalchemy\nfrom sqlalchemy.dialects import postgresql\n")
    yield tmp_path
    for name in ("orders_models", "orders_main", "orders_empty"):
        sys.modules.pop(name, None)


def test_the_tables_are_those_of_the_imported_modules(application: Path) -> None:
    assert first_revision.main("orders_main", "written.py") == 0
    assert "op.create_table('orders'" in (application / "written.py").read_text()
    assert [table.name for table in tables_of(application)] == ["orders"]


def test_a_file_that_only_the_image_has_does_not_stop_the_import(
    application: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssl, "create_default_context", ssl.create_default_context)  # set back at the end
    text = "import orders_models, ssl\nmade = ssl.create_default_context(cafile='/etc/ssl/rds/ca.pem')\n"
    (application / "orders_main.py").write_text(text)
    assert first_revision.main("orders_main", "written.py") == 0


def test_an_application_that_cannot_be_imported_says_why(application: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (application / "orders_main.py").write_text("raise ValueError('1 error:\\n  token is missing')\n")
    assert first_revision.main("orders_main", "written.py") == 1
    assert (
        capsys.readouterr().err
        == "orders_main cannot be imported: orders_main.py:1: ValueError 1 error: token is missing\n"
    )


def test_an_application_without_tables_gets_none(application: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert first_revision.main("orders_empty", "written.py") == 1
    assert "orders_empty and the modules that it imports define no table" in capsys.readouterr().err
    assert not (application / "written.py").exists()

"""The same sources give the same bytes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fargate_ops.terraform.bots_package import NoSources, build, write

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "here" / "bots"
    (folder / "inner").mkdir(parents=True)
    (folder / "b.py").write_text("b = 1\n" * 1000)
    (folder / "__init__.py").write_text("")
    (folder / "inner" / "a.py").write_text("a = 'ä'\n", encoding="utf-8")
    return folder


def names(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def test_the_files_stand_in_order_beneath_the_name_of_the_package(source: Path) -> None:
    assert names(build(source)) == ["bots/__init__.py", "bots/b.py", "bots/inner/a.py"]


def test_time_permissions_place_and_bytecode_make_no_difference(source: Path, tmp_path: Path) -> None:
    before = build(source)
    os.utime(source / "b.py", (0, 2_000_000_000))
    (source / "b.py").chmod(0o600)
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "b.cpython-313.pyc").write_bytes(b"compiled")
    (source / "__pycache__" / "stale.py").write_text("")
    (source / "README.md").write_text("for people")
    moved = tmp_path / "elsewhere" / "bots"
    moved.parent.mkdir()
    source.rename(moved)
    assert build(moved) == before


def test_every_change_of_a_source_is_one_of_the_zip(source: Path) -> None:
    seen = {build(source)}
    (source / "b.py").write_text("b = 2\n")
    seen.add(build(source))
    (source / "b.py").rename(source / "c.py")
    seen.add(build(source))
    assert len(seen) == 3


def test_it_is_written_only_when_it_differs(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "bots.zip"
    assert write(build(source), path)
    inode = path.stat().st_ino
    assert not write(build(source), path)
    assert path.stat().st_ino == inode
    (source / "b.py").write_text("b = 2\n")
    assert write(build(source), path)
    assert path.read_bytes() == build(source)
    assert [entry.name for entry in path.parent.iterdir()] == ["bots.zip"], "nothing is left beside it"


def test_an_empty_folder_is_no_package(tmp_path: Path) -> None:
    with pytest.raises(NoSources, match="holds no Python file"):
        build(tmp_path)


def test_the_real_package_starts_from_its_zip_alone(tmp_path: Path) -> None:
    path = tmp_path / "bots.zip"
    write(build(REPOSITORY / "app/bots/bots"), path)
    handlers = (
        "from bots import alarm_bot, detection_bot, query_bot; print(query_bot.handler.__name__, query_bot.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(path)!r}); {handlers}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["handler", f"{path}/bots/query_bot.py"], done.stderr

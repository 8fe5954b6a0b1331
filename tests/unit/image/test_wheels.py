from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from fargate_ops.core.problem import ProblemError
from fargate_ops.image import wheels
from fargate_ops.image.wheels import Target

ARM = Target("3.13", "aarch64", "2.28")


def index(folder: Path, tag: str = "cp313-cp313-manylinux_2_28_aarch64") -> bytes:
    """Create a folder that pip accepts as an index, with one wheel of `tag`. Return the lock that pins it."""
    folder.mkdir(exist_ok=True)
    wheel = folder / f"tiny-1.0-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(
            "tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\nRequires-Dist: x\n"
        )
        archive.writestr("tiny-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return f"tiny==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n".encode()


@pytest.fixture(autouse=True)
def only_this_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def test_wheels_are_for_the_images_platform_not_this_machines(tmp_path: Path, only_this_index: Path) -> None:
    lock, said = index(only_this_index), list[str]()
    folder = wheels.download({"requirements.txt": lock}, ARM, tmp_path / "cache", said.append)
    assert [path.name for path in folder.iterdir()] == ["tiny-1.0-cp313-cp313-manylinux_2_28_aarch64.whl"]
    assert said[0] == "downloading 1 wheels for Python 3.13 on aarch64"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_a_second_time_nothing_is_downloaded(tmp_path: Path) -> None:
    locks, said = {"requirements.txt": b"tiny==1.0"}, list[str]()
    there = tmp_path / "cache" / wheels.cache_key(locks, ARM)
    there.mkdir(parents=True)
    assert wheels.download(locks, ARM, tmp_path / "cache", said.append) == there
    assert said == []


def test_a_wheel_that_is_not_the_locked_one_is_refused(
    tmp_path: Path, only_this_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "_PROGRESS_SECONDS", 0)
    index(only_this_index)
    lock, said = b"tiny==1.0 --hash=sha256:" + b"0" * 64, list[str]()
    with pytest.raises(ProblemError, match="does not match the lock"):
        wheels.download({"requirements.txt": lock}, ARM, tmp_path / "cache", said.append)
    assert list((tmp_path / "cache").iterdir()) == []  # nothing that a later run would trust
    assert len(said) > 1


def test_a_wheel_for_another_platform_only_is_said(tmp_path: Path, only_this_index: Path) -> None:
    lock = index(only_this_index, "cp313-cp313-manylinux_2_39_aarch64")
    with pytest.raises(ProblemError, match="is missing for the image's Python and platform"):
        wheels.download({"requirements.txt": lock}, ARM, tmp_path / "cache", lambda _: None)


@pytest.mark.parametrize(
    ("output", "what"),
    [("OSError: [Errno 28] No space left on device", "The disk is full"), ("Killed", "pip download failed:\n  Killed")],
)
def test_other_failures_of_pip(output: str, what: str) -> None:
    assert wheels._explain(output)[0].startswith(what)


def test_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ProblemError, match="pip is needed"):
        wheels.download({}, ARM, tmp_path, lambda _: None)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(ProblemError, match="cannot be kept"):
        wheels.download({"requirements.txt": b""}, ARM, tmp_path / "cache", lambda _: None)


def test_a_library_is_built_into_the_same_bytes_wherever_and_whenever(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = wheels.build(library, tmp_path / "first")
    assert first == tmp_path / "first/tiny-0-py3-none-any.whl"
    with zipfile.ZipFile(first) as archive:
        assert "tiny/__init__.py" in archive.namelist()
    copy = tmp_path / "elsewhere/tiny"
    shutil.copytree(library, copy)
    (copy / "__init__.py").chmod(0o600)
    os.utime(copy / "__init__.py", (0, 0))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (tmp_path / "first/stale.whl").touch()
    assert wheels.build(copy, tmp_path / "second").read_bytes() == first.read_bytes()
    assert wheels.build(library, tmp_path / "first") == first


def test_a_library_that_cannot_be_built_is_said_with_its_reason(library: Path, tmp_path: Path) -> None:
    (library / "pyproject.toml").write_text("[project]\nname = 'tiny'\n")
    with pytest.raises(ProblemError, match="The wheel of tiny cannot be built:\n"):
        wheels.build(library, tmp_path / "wheels")


def test_a_library_for_one_platform_is_refused(library: Path, tmp_path: Path) -> None:
    (library / "hatch_build.py").write_text(
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
        "class Hook(BuildHookInterface):\n"
        "    def initialize(self, version, build_data):\n"
        "        build_data.update(pure_python=False, infer_tag=True)\n"
    )
    with (library / "pyproject.toml").open("a") as stream:
        stream.write("[tool.hatch.build.targets.wheel.hooks.custom]\n")
    with pytest.raises(ProblemError, match="is for one platform only: tiny-0-cp"):
        wheels.build(library, tmp_path / "wheels")


def test_platform_tags_go_from_the_newest_glibc_down_with_the_older_names() -> None:
    tags = Target("3.13", "x86_64", "2.18").platforms()
    assert tags[:4] == [
        "manylinux_2_18_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
        "manylinux_2_16_x86_64",
    ]
    assert tags[-2:] == ["manylinux_2_5_x86_64", "manylinux1_x86_64"]


def test_the_cache_key_is_of_locks_and_target() -> None:
    locks = {"requirements.txt": b"a==1\n"}
    keys = {
        wheels.cache_key(locks, ARM),
        wheels.cache_key({"requirements.txt": b"a==2\n"}, ARM),
        wheels.cache_key(locks, Target("3.13", "x86_64", "2.28")),
        wheels.cache_key(locks | {"more.txt": b""}, ARM),
    }
    assert len(keys) == 4


def test_pinned_distributions_are_counted() -> None:
    assert wheels.count(b"a==1 \\\n    --hash=sha256:0\n# via b==2\nuvicorn[standard]==3\n\n") == 2

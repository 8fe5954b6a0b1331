"""The wheels that the image installs, made on the controller so that the build needs no network.

Those of libraries are built from their folders. The others are downloaded for the image's Python and platform, not for
this machine's, and each against the hash in the lock. `--no-deps`: the lock is complete, and pip would evaluate the
dependencies' markers for the Python it runs on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fargate_ops.core.problem import ProblemError

_PROGRESS_SECONDS = 2
_BUILT_AT = "1577836800"  # 2020-01-01: the time of every file in a wheel, whenever it is built
_REQUIREMENT = re.compile(rb"^[A-Za-z0-9][\w.-]*(\[[^\]]*\])?\s*==", re.MULTILINE)


@dataclass(frozen=True)
class Target:
    """The image's platform: `python` as ``3.13``, `machine` as ``x86_64`` or ``aarch64``, `glibc` as ``2.28``."""

    python: str
    machine: str
    glibc: str

    def platforms(self) -> list[str]:
        """Return the platform tags of wheels that run there, best first (PEP 600, and older names of some of them)."""
        newest = int(self.glibc.partition(".")[2])
        aliases = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
        tags = []
        for minor in range(newest, 4, -1):
            tags.append(f"manylinux_2_{minor}_{self.machine}")
            if minor in aliases:
                tags.append(f"{aliases[minor]}_{self.machine}")
        return tags


def count(lock: bytes) -> int:
    """Return the number of distributions that a lock pins."""
    return len(_REQUIREMENT.findall(lock))


def cache_key(locks: Mapping[str, bytes], target: Target) -> str:
    """Return a key of everything that selects the wheels: the locks and the target."""
    digest = hashlib.sha256(repr(target).encode())
    for name, content in sorted(locks.items()):
        digest.update(f"\0{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def download(locks: Mapping[str, bytes], target: Target, cache_dir: Path, say: Callable[[str], None]) -> Path:
    """Return the folder with the wheels of `locks` (name → content) for `target`, downloaded once for each content.

    Raises ProblemError if the package index does not answer, a wheel is missing or a hash differs.
    """
    folder = cache_dir / cache_key(locks, target)
    if folder.is_dir():
        return folder
    _require_pip()
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        # Downloaded elsewhere and renamed, so that an interrupted download is never taken for a complete one.
        with tempfile.TemporaryDirectory(dir=cache_dir, prefix=".download-") as scratch:
            wheels, options = Path(scratch, "wheels"), []
            wheels.mkdir()
            for name, content in locks.items():
                Path(scratch, name).write_bytes(content)
                options += ["--requirement", str(Path(scratch, name))]
            _pip_download(options, target, wheels, sum(map(count, locks.values())), say)
            wheels.rename(folder)
    except OSError as error:
        raise ProblemError(
            f"The wheels cannot be kept: {error.strerror or error}.", str(cache_dir), f"df -h {cache_dir}"
        ) from error
    return folder


def build(library: Path, destination: Path) -> Path:
    """Build the wheel of the Python project in the folder `library`; return its path in `destination`, a new folder.

    The same files give the same bytes. The build backend is the controller's, so nothing is downloaded. Raises
    ProblemError if the build fails, or if the wheel is for one platform only.
    """
    _require_pip()
    shutil.rmtree(destination, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "wheel", "--isolated", "--disable-pip-version-check", "--quiet"]
    command += ["--no-index", "--no-deps", "--no-build-isolation", "--no-cache-dir"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(destination), str(library)],
        env={**os.environ, "SOURCE_DATE_EPOCH": _BUILT_AT},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n  ".join(done.stdout.strip().splitlines()[-10:])
        raise ProblemError(
            f"The wheel of {library.name} cannot be built:\n  {tail}",
            str(library),
            "correct its pyproject.toml; its build backend must be one that this Python has, such as hatchling",
        )
    (wheel,) = destination.iterdir()
    if not wheel.name.endswith("-none-any.whl"):
        raise ProblemError(
            f"The wheel of {library.name} is for one platform only: {wheel.name}.",
            str(library),
            "keep libraries of image_build_libraries in pure Python",
        )
    return wheel


def _require_pip() -> None:
    if importlib.util.find_spec("pip") is None:
        raise ProblemError("pip is needed for the image's wheels.", sys.executable, f"{sys.executable} -m ensurepip")


def _pip_download(options: list[str], target: Target, folder: Path, total: int, say: Callable[[str], None]) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--disable-pip-version-check",
        "--progress-bar=off",
        "--no-deps",
    ]
    command += ["--only-binary=:all:", "--require-hashes", "--dest", str(folder), "--implementation", "cp"]
    command += ["--python-version", target.python, "--abi", f"cp{target.python.replace('.', '')}", "--abi", "abi3"]
    command += ["--abi", "none", *(f"--platform={tag}" for tag in target.platforms()), *options]
    tail: deque[str] = deque(maxlen=10)
    told = time.monotonic()
    say(f"downloading {total} wheels for Python {target.python} on {target.machine}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None  # noqa: S101 - tells the type checker what PIPE means
        for line in pip.stdout:
            if not line.strip() or line.lstrip().startswith(("WARNING: Location", "Looking in")):
                continue
            tail.append(line.rstrip())
            if time.monotonic() - told >= _PROGRESS_SECONDS:
                told = time.monotonic()
                say(f"  {line.split(' (from')[0].strip()}")
    if pip.returncode:
        raise ProblemError(*_explain("\n  ".join(tail)))


def _explain(output: str) -> tuple[str, str, str]:
    """Return the problem for pip's last lines."""
    where = "the requirement files that app_locks names, in app_source_dir"
    if "No space left on device" in output:
        return "The disk is full: the wheels do not fit.", "the wheel cache below .local/", "df -h; free some space"
    if "HASHES" in output or "hashes are required" in output.lower():
        return (
            f"A wheel does not match the lock:\n  {output}",
            where,
            "lock again (the command is in the lock's header)",
        )
    if "No matching distribution" in output or "Could not find a version" in output:
        return (
            "A locked wheel is missing for the image's Python and platform, or the package index does not answer:\n"
            f"  {output}",
            where,
            "check the index (pip config list; pip download pip --no-deps -d /tmp), then repeat the command",
        )
    return f"pip download failed:\n  {output}", where, "repeat the command; if it stays, read pip's message above"

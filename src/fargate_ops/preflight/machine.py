"""The checks of this machine and this checkout: git, engine, disk, and those that only `make doctor` runs."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from fargate_ops.core.checks import Finding
from fargate_ops.core.problem import Problem, ProblemError
from fargate_ops.image import docker_host
from fargate_ops.image.git import git, work_tree

_SHOWN = 5


def check_git(project: Path, *, allow_dirty: bool, allow_shallow: bool) -> Finding:
    """Check that the work tree is clean and has its history: only commits run, and versions come from the history."""
    try:
        commit = git(project, "rev-parse", "--short=12", "HEAD").decode().strip()
        shallow = git(project, "rev-parse", "--is-shallow-repository").decode().strip() == "true"
        with work_tree(project) as tree:
            changed = tree.changed
    except ProblemError as error:
        return Finding("git", "no usable checkout", (error.problem,))
    problems = []
    if shallow and not allow_shallow:
        problems.append(
            Problem(
                "The clone is shallow, so the newest commit that touches the image is unknown.",
                str(project),
                "git fetch --unshallow   # in a workflow: actions/checkout with fetch-depth: 0",
            )
        )
    if changed and not allow_dirty:
        shown = ", ".join(changed[:_SHOWN]) + (f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "")
        problems.append(
            Problem(f"There are uncommitted changes: {shown}.", str(project), "git commit or git stash them")
        )
    notes = [commit, f"{len(changed)} uncommitted changes" if changed else "clean"]
    return Finding("git", ", ".join(notes + ["shallow"] * shallow), tuple(problems))


def check_engine(environment: Mapping[str, str], required: str, *, may_start_later: bool) -> Finding:
    """Check that the Docker engine for the build answers. `required` may name it.

    `may_start_later`: a check builds nothing, and the flow may start the engine.
    """
    from fargate_ops.image import engine  # its SDK takes a third of a second to import

    try:
        host = docker_host.find(environment, required)
    except ProblemError as error:
        return Finding("engine", "not the one that is needed", (error.problem,))
    try:
        version = engine.connect(host).version()
    except ProblemError as error:
        if may_start_later:
            return Finding("engine", f"not known yet: {error.problem.what}", skipped=True)
        return Finding("engine", "no answer", (error.problem,))
    return Finding("engine", f"Docker {version['Version']}, {version['Arch']}, {host}")


def check_disk(paths: Iterable[Path], minimum_gib: float) -> Finding:
    """Check the free space of the disks of `paths`, which need not exist yet. Each device is named once."""
    problems, seen = [], {}
    for path in paths:
        existing = next(parent for parent in (path, *path.parents) if parent.exists())
        device = existing.stat().st_dev
        if device in seen:
            continue
        seen[device] = free = shutil.disk_usage(existing).free / 2**30
        if free < minimum_gib:
            problems.append(
                Problem(
                    f"Only {free:.1f} GiB are free, {minimum_gib:g} are needed.",
                    str(path),
                    f"free some space (docker system df; df -h {existing}), or lower preflight_disk_free_gib",
                )
            )
    return Finding("disk", ", ".join(f"{free:.1f} GiB free" for free in seen.values()), tuple(problems))


def check_python(environment: Path = Path(sys.prefix)) -> Finding:
    """Check the Python environment: it has every package of the lock, or ``make venv`` would not have ended."""
    if not (environment / ".ready").is_file():
        problem = Problem("The Python environment is incomplete.", str(environment), "make venv")
        return Finding("python", "incomplete", (problem,))
    return Finding("python", f"{platform.python_version()}, {environment}")


def check_identity(project: Path) -> Finding:
    """Check that git knows who commits: an environment other than local deploys commits only."""
    problems = []
    for name, example in (("user.name", "'Ann Lee'"), ("user.email", "ann@example.com")):
        try:
            git(project, "config", "--get", name)
        except ProblemError:
            what = f"git has no {name}, so nothing can be committed."
            problems.append(Problem(what, "git config", f"git config --global {name} {example}"))
    return Finding("identity", "incomplete" if problems else "git knows who commits", tuple(problems))


def check_memory(minimum_gib: float, meminfo: Path = Path("/proc/meminfo")) -> Finding:
    """Check the memory that is available without swapping. Systems without ``/proc`` are not checked."""
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) / 2**20
    except (OSError, KeyError):
        return Finding("memory", "not known on this system", skipped=True)
    if free >= minimum_gib:
        return Finding("memory", f"{free:.1f} GiB available")
    problem = Problem(
        f"Only {free:.1f} GiB of memory are available, {minimum_gib:g} are needed.",
        str(meminfo),
        "end programs that use much (ps aux --sort=-rss | head), or lower preflight_memory_free_gib",
    )
    return Finding("memory", f"{free:.1f} GiB available", (problem,))


def check_programs(programs: Mapping[str, str]) -> Finding:
    """Check that programs are on PATH. `programs` maps each to what installs it."""
    missing = [name for name in programs if not shutil.which(name)]
    problems = tuple(Problem(f"{name} is not on PATH.", "PATH", programs[name]) for name in missing)
    summary = f"without {', '.join(missing)}" if missing else ", ".join(programs) or "none is needed"
    return Finding("programs", summary, problems)


def check_clock(project: Path, now: datetime | None = None) -> Finding:
    """Check that this machine's clock is not behind the newest commit: no certificate would be valid."""
    now = now or datetime.now(UTC)
    try:
        committed = datetime.fromtimestamp(int(git(project, "log", "-1", "--format=%ct")), UTC)
    except ProblemError as error:
        return Finding("clock", f"not known: {error.problem.what}", skipped=True)
    if now >= committed:
        return Finding("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")
    problem = Problem(
        f"This machine's clock shows {now:%Y-%m-%d %H:%M} UTC, before the newest commit ({committed:%Y-%m-%d %H:%M}).",
        "the clock of this machine",
        "sudo timedatectl set-ntp true",
    )
    return Finding("clock", f"{now:%Y-%m-%d %H:%M} UTC", (problem,))

"""An application's packages: what it asks for, what locks them, and for which Python."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from fargate_ops.adopt.project import Project

_REQUIREMENTS = re.compile(
    r"(?:requirements/)?[\w.-]*(?:requirements|base|prod|production)[\w.-]*\.(?:txt|in)|[\w.-]+\.lock"
)
#: Requirement files of something other than the running application.
_OTHER = re.compile(r"dev|test|lint|doc|build|ci\b", re.IGNORECASE)
_HASH = re.compile(r"--hash=\w+:\w+")
#: Commands that print a lock in the format of a requirement file.
_EXPORTS = {
    "uv.lock": "uv export --quiet --frozen --format requirements-txt --no-dev --no-emit-project",
    "poetry.lock": "uv tool run --from poetry --with poetry-plugin-export poetry export --format requirements.txt",
}
_OLDEST_CONTROLLER = "3.11"
#: The inventory's setting of the locks; named in OVERWRITE, the application's lock is made again.
LOCKS = "app_locks"
#: The requirement file of the build stage, which has pip.
BUILD_LOCK = "requirements-build.txt"


@dataclass(frozen=True)
class Requirements:
    """`extras` are those of each package that the project asks for; `locked` all packages of its lock.

    `lock` is a hashed requirement file in the project's folder, which the image is built from; empty if there is none.
    `source` is the file that such a lock can be made from: ``uv.lock``, ``pyproject.toml``, ``requirements.txt``.
    `conditional` are the packages of the lock that are installed only on some platforms or Pythons.
    """

    extras: Mapping[str, frozenset[str]]
    locked: frozenset[str]
    lock: str
    source: str
    python: str
    conditional: tuple[Requirement, ...] = ()

    def has(self, *names: str) -> bool:
        """Return whether one of these packages is installed, as far as the project's files say."""
        return any(name in self.extras or name in self.locked for name in names)

    def left_out(self, python: str) -> list[str]:
        """Return the packages of the lock that the image's Python needs, and a controller's does not.

        pip evaluates the lock's markers for the Python that it runs on.
        """
        return [
            requirement.name
            for requirement in self.conditional
            if _applies(requirement, python) and not _applies(requirement, _OLDEST_CONTROLLER)
        ]

    def lock_command(self, python: str, also: str = "") -> str:
        """Return the command that writes the lock for one Python, in the project's folder.

        `also` are the arguments for the packages of another project.
        """
        # The image takes wheels only. So nothing of a package is built, that is executed, here.
        compiled = f"uv pip compile --quiet --only-binary :all: --python-version {python} --generate-hashes"
        written = f"{also} --output-file {self.lock_to_be}".strip()
        if export := _EXPORTS.get(self.source):
            return f"{export} | {compiled} {'' if also else '--no-deps '}- {written}"
        return f"{compiled} {self.source or 'pyproject.toml'} {written}"

    @property
    def lock_to_be(self) -> str:
        """The lock, or the file that `lock_command` writes."""
        return self.lock or ("requirements.lock" if self.source == "requirements.txt" else "requirements.txt")

    def takes_python(self, version: str) -> bool:
        """Return whether the project runs on Python `version`, ``3.13``. What cannot be read does not forbid it."""
        try:
            return SpecifierSet(self.python).contains(f"{version}.0")
        except InvalidSpecifier:
            return True


def requirements(project: Project, above: Mapping[str, str] | None = None) -> Requirements:
    """Read the packages of a project. `above` are files of the folders that it is in: a workspace has one lock."""
    files = {**{path: text for path, text in (above or {}).items() if path == "uv.lock"}, **project.files}
    pyproject = _toml(files.get("pyproject.toml", ""))
    names = [path for path in files if _REQUIREMENTS.fullmatch(path) and not _OTHER.search(path)]
    asked = [*_asked(pyproject), *(line for path in names for line in _lines(files[path]))]
    extras: dict[str, frozenset[str]] = {}
    for requirement in _parsed(asked):
        name = canonicalize_name(requirement.name)
        extras[name] = extras.get(name, frozenset()) | {extra.lower() for extra in requirement.extras}
    # Only files beside the Dockerfile: pip reads each by itself.
    locks = [path for path in names if "/" not in path and _is_locked(files[path])]
    lock = min(locks, key=lambda path: (path != "requirements.txt", len(path)), default="")
    kept = (*_EXPORTS, "pyproject.toml")
    plain = [path for path in names if path not in locks]
    sources = [path for path in kept if path in files and (path != "pyproject.toml" or _has_packages(pyproject))]
    return Requirements(
        extras=extras,
        locked=frozenset(name for path in _EXPORTS for name in _packages(files.get(path, ""))),
        lock=lock,
        source=next(iter([*sources, *sorted(plain, key=lambda path: (path != "requirements.txt", len(path)))]), ""),
        python=_python(pyproject, files.get(".python-version", "")),
        conditional=tuple(found for found in _parsed(_lines(files.get(lock, ""))) if found.marker),
    )


def project_name(project: Project) -> str:
    """Return the name that the project gives itself; empty if it has none."""
    pyproject = _toml(project.files.get("pyproject.toml", ""))
    return str(_table(pyproject, "project").get("name") or _table(pyproject, "tool", "poetry").get("name") or "")


def declared_entry(project: Project) -> str:
    """Return the object that pyproject.toml names for the command ``fastapi``; empty if none."""
    return str(_table(_toml(project.files.get("pyproject.toml", "")), "tool", "fastapi").get("entrypoint") or "")


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _table(document: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        document = document.get(key) or {}
        if not isinstance(document, Mapping):
            return {}
    return document


def _asked(pyproject: Mapping[str, Any]) -> Iterator[str]:
    yield from map(str, _table(pyproject, "project").get("dependencies") or [])
    for name, value in _table(pyproject, "tool", "poetry", "dependencies").items():
        extras = value.get("extras") or [] if isinstance(value, Mapping) else []
        if name != "python":
            yield f"{name}[{','.join(extras)}]" if extras else name


def _has_packages(pyproject: Mapping[str, Any]) -> bool:
    return any(_asked(pyproject))


def _lines(text: str) -> Iterator[str]:
    """Yield the requirements of a requirement file, without options, hashes and comments."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        requirement = re.sub(r"(?:^|\s)#.*", "", line).partition(" --")[0].strip()
        if requirement and not requirement.startswith("-"):
            yield requirement


def _parsed(lines: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        try:
            yield Requirement(line)
        except InvalidRequirement:
            continue


def _applies(requirement: Requirement, python: str) -> bool:
    """Return whether a requirement is installed on Linux with Python `python`, ``3.13``."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return requirement.marker is None or requirement.marker.evaluate(environment)


def _is_locked(text: str) -> bool:
    """Return whether each requirement has a version and a hash, as pip needs for all or none."""
    lines = list(_lines(text))
    return bool(lines) and len(_HASH.findall(text)) >= len(lines) and all("==" in line for line in lines)


def _packages(lock: str) -> Iterator[str]:
    """Yield the packages of uv.lock or poetry.lock."""
    packages = _toml(lock).get("package") or []
    return (canonicalize_name(str(package.get("name", ""))) for package in packages)


def _python(pyproject: Mapping[str, Any], pinned: str) -> str:
    """Return the Python versions that the project takes, as PEP 440 writes them."""
    asked = str(_table(pyproject, "project").get("requires-python") or "")
    poetry = str(_table(pyproject, "tool", "poetry", "dependencies").get("python") or "")
    # Poetry's ^3.11 is >=3.11,<4.
    asked = asked or re.sub(r"\^(\d+)([\d.]*)", lambda match: f">={match[1]}{match[2]},<{int(match[1]) + 1}", poetry)
    version = re.match(r"(\d+\.\d+)", pinned.strip())
    return asked or (f"=={version[1]}.*" if version else "")

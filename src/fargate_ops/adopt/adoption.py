"""Adopt an application: what it meets of the contract, its values in the inventory, and a Dockerfile if it has none."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from fargate_ops.adopt.inspection import Inspection, inspect
from fargate_ops.adopt.points import Verdict, steps, tree
from fargate_ops.adopt.project import Project, read, repository_of, scan
from fargate_ops.adopt.templates import image_files, new_files
from fargate_ops.core.files import write_file
from fargate_ops.core.problem import ProblemError
from fargate_ops.inventory.names import NAME_CHARACTERS
from fargate_ops.inventory.values import VALUES
from fargate_ops.inventory.yaml_edit import Value, flow, replaced, top_level

_SHARED = "shared.yml"
_NAME, _SOURCE, _DATABASE = "app_name", "app_source_dir", "database_name"


@dataclass(frozen=True)
class Request:
    """`directory`, ``../orders``, as a person wrote it. `entry` names the FastAPI object, `name` the application.

    Each is empty if not given. `overwrite` are settings whose value is replaced whatever it is.
    """

    directory: str
    name: str = ""
    entry: str = ""
    overwrite: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        return Path(self.directory).expanduser().absolute()


@dataclass(frozen=True)
class Repository:
    """This checkout: its folder, the inventory, the reference application, and the Python of images, ``3.13``."""

    project: Path
    inventory: Path
    reference: Path
    python: str

    @property
    def shared(self) -> Path:
        return self.inventory / _SHARED


@dataclass(frozen=True)
class Adoption:
    """The files that would be written, by path, and what there is to say: `folder` as a person writes it.

    `changes` are those of the inventory. `kept` says by setting which value stays although another was found. `again`
    is the command that repeats the adoption.
    """

    inspection: Inspection
    name: str
    folder: str
    files: Mapping[Path, str]
    changes: tuple[str, ...]
    kept: Mapping[str, str]
    again: str

    def report(self, *, preview: bool) -> str:
        """Return the points, how to meet those that are not met, what is written, and the next command."""
        points = self.inspection.points
        would = "would write" if preview else "wrote"
        lines = [tree(f"{self.name}: the application in {self.folder}", points), steps(points)]
        lines += [f"{would} {os.path.relpath(path)}" for path in self.files]
        lines += [f"  {change}" for change in self.changes]
        lines += [f"kept {key}: {said}" for key, said in self.kept.items()]
        if self.kept:
            lines.append(f"  {self.again} OVERWRITE={','.join(self.kept)} takes what the application has")
        return "\n".join(filter(None, [*lines, f"Next: {self._next()}"]))

    def _next(self) -> str:
        to_do = sum(point.verdict is Verdict.TO_DO for point in self.inspection.points)
        if to_do:
            return f"do what is listed, commit it, then {self.again}"
        if any(path.name != _SHARED for path in self.files):
            folder = shlex.quote(self.folder)
            return f"git -C {folder} add . && git -C {folder} commit, then make deploy"
        return "make deploy"


def adopt(request: Request, repository: Repository) -> Adoption:
    """Return how to adopt an existing application, without writing anything. Raises ProblemError."""
    if not request.directory:
        raise ProblemError("The application's folder is not given.", "DIR", "make adopt DIR=../orders")
    return _plan(request, repository, read(request.path, request.directory), {})


def create(request: Request, repository: Repository) -> Adoption:
    """Return how to create and adopt a new application, without writing anything. Raises ProblemError."""
    path, name = request.path, _valid(request.name, repository)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ProblemError(
            f"There is {request.directory} already.",
            "DIR",
            f"choose another DIR, or make adopt DIR={request.directory}",
        )
    repository_of(path, request.directory)
    files = new_files(name)
    return _plan(request, repository, Project.of(files), {path / file: text for file, text in files.items()})


def write(adoption: Adoption) -> None:
    """Write the files."""
    for path, text in adoption.files.items():
        write_file(path, text)


def _plan(request: Request, repository: Repository, project: Project, files: Mapping[Path, str]) -> Adoption:
    reference = _reference(repository)
    text = repository.shared.read_text(encoding="utf-8")
    current = _current(text)
    look = partial(
        inspect,
        named=request.entry,
        python=repository.python,
        shown=request.directory,
        given=set(_given_variables(repository)),
    )
    inspection = look(project)
    own = current.get(_NAME) if current.get(_NAME) != reference.get(_NAME) else ""
    name = _valid(request.name or str(own or _slug(inspection.name)), repository)
    context = Path(os.path.normpath(request.path / inspection.folder))
    folder = os.path.normpath(f"{request.directory}/{inspection.folder}")
    source = _source(request, repository, context)
    # Values that a person set for another application say nothing about this one.
    chosen = {key: value for key, value in current.items() if key in reference and value != reference[key]}
    known = chosen if chosen.get(_SOURCE) == source else {}
    inspection = look(project, known=known)
    if not inspection.has_dockerfile:
        written = image_files(inspection, name, project.below(inspection.folder))
        files = {**files, **{context / file: content for file, content in written.items()}}
        # The points and values are those of the image that the files build.
        added = {str(PurePosixPath(inspection.folder, file)): content for file, content in written.items()}
        project = project.having(added)
        inspection = look(project, known=known)
    values = _values(inspection, name, source)
    by_name = {*request.overwrite, *([_NAME] if request.name else [])}
    text, changes, kept = _edited(text, values, current, reference, by_name)
    if changes:
        files = {**files, repository.shared: text}
    again = f"make adopt DIR={shlex.quote(folder)}" + (f" APP={request.entry}" if request.entry else "")
    return Adoption(inspection, name, folder, files, tuple(changes), kept, again)


def _given_variables(repository: Repository) -> Iterator[str]:
    """Yield the names of the environment variables that an environment gives the application."""
    for path in repository.inventory.glob("*/group_vars/all/*.yml"):
        nodes = top_level(path.read_text(encoding="utf-8"))
        for setting in ("app_environment", "app_secrets"):
            if isinstance(node := nodes.get(setting), yaml.MappingNode):
                yield from (name.value for name, _ in node.value)


def _reference(repository: Repository) -> Mapping[str, Value]:
    """Return the values of the reference application, which is in this repository; none if it was removed."""
    try:
        project = scan(repository.reference)
        inspection = inspect(project, named="", python=repository.python, shown=str(repository.reference))
    except (ProblemError, OSError):
        return {}
    source = _templated(repository.reference, repository)
    return _values(inspection, _slug(inspection.name), source)


def _values(inspection: Inspection, name: str, source: str) -> dict[str, Value]:
    """Return the application's values in the inventory's order."""
    values: dict[str, Value] = {_NAME: name, _SOURCE: source, **inspection.values}
    if inspection.has_database:
        values[_DATABASE] = name.replace("-", "_")
    return values


def _edited(
    text: str,
    values: Mapping[str, Value],
    current: Mapping[str, Any],
    reference: Mapping[str, Value],
    by_name: Iterable[str],
) -> tuple[str, list[str], dict[str, str]]:
    """Return the inventory's text with new values, the changes, and the values that stay although others were found.

    A value that is not the reference application's was chosen by a person, unless it is empty: then it says that an
    earlier run found nothing. A list is also replaced by a longer one that contains it.
    """
    changes: list[str] = []
    kept: dict[str, str] = {}
    for key, value in values.items():
        if key not in current:
            where = f"inventory/{_SHARED}"
            raise ProblemError(f"{where} does not set {key}.", where, f"add {key}: {flow(value)}")
        if current[key] == value:
            continue
        if key in by_name or (key in reference and current[key] == reference[key]) or _extends(value, current[key]):
            changes.append(f"{key}: {_shown(current[key])} → {_shown(value)}")
            text = replaced(text, key, value)
        else:
            kept[key] = f"{_shown(current[key])}, the application has {_shown(value)}"
    return text, changes, kept


def _extends(found: Value, current: Any) -> bool:
    """Return whether `found` says more than `current`: the application got what it had not."""
    if isinstance(found, list) and isinstance(current, list):
        return set(current) < set(found)
    return current == "" and bool(found)


def _current(text: str) -> dict[str, Any]:
    return {key: yaml.safe_load(yaml.serialize(node)) for key, node in top_level(text).items()}


def _shown(value: Any) -> str:
    return flow(value) if isinstance(value, str | bool | int | list) else str(value)


def _source(request: Request, repository: Repository, context: Path) -> str:
    # A relative path stays one, so that checkouts that stand side by side can be anywhere.
    if Path(request.directory).is_absolute() and not context.is_relative_to(repository.project):
        return str(context)
    return _templated(context, repository)


def _templated(path: Path, repository: Repository) -> str:
    return f"{{{{ project_dir }}}}/{os.path.relpath(path, repository.project)}"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _valid(name: str, repository: Repository) -> str:
    """Return the application's name. Raises ProblemError if the inventory would refuse it."""
    kind = VALUES[_NAME]
    try:
        kind.read(name)
    except ValueError:
        raise ProblemError(
            f"{name!r} cannot be the application's name: it must be {kind.must_be}.", "NAME", "choose one: NAME=orders"
        ) from None
    longest = max(_environments(repository), key=len, default="")
    if len(f"{name}-{longest}") > NAME_CHARACTERS:
        most = NAME_CHARACTERS - len(longest) - 1
        raise ProblemError(
            f"{name} has {len(name)} characters. With the environment {longest} it may have {most}.",
            "NAME",
            f"choose a shorter one: NAME={name[:most].rpartition('-')[0] or name[:most]}",
        )
    return name


def _environments(repository: Repository) -> Iterator[str]:
    return (path.parent.name for path in repository.inventory.glob("*/group_vars"))

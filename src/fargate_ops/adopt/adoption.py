"""Adopt an application: what it meets of the contract, its values in the inventory, and a Dockerfile if it has none."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from fargate_ops.adopt.database_points import BY_HAND, MIGRATIONS
from fargate_ops.adopt.edits import applied
from fargate_ops.adopt.inspection import Inspection, inspect
from fargate_ops.adopt.lock import make as make_lock
from fargate_ops.adopt.models import first_revision
from fargate_ops.adopt.points import Point, Verdict, steps, tree
from fargate_ops.adopt.project import Project, has_changes, read, repository_of, scan
from fargate_ops.adopt.requirements import LOCKS
from fargate_ops.adopt.templates import image_files, new_files
from fargate_ops.core.files import write_file
from fargate_ops.core.problem import OperationsError, ProblemError
from fargate_ops.inventory.names import NAME_CHARACTERS
from fargate_ops.inventory.values import VALUES
from fargate_ops.inventory.yaml_edit import Value, flow, replaced, top_level

_SHARED = "shared.yml"
_NAME, _SOURCE, _DATABASE = "app_name", "app_source_dir", "database_name"


@dataclass(frozen=True)
class Request:
    """`directory`, ``../orders``, as a person wrote it. `entry` names the FastAPI object, `name` the application.

    Each is empty if not given. `overwrite` are settings whose value is replaced whatever it is; with that of the locks,
    the lock is made again. `edit`: what is to do in the application's code is done.
    """

    directory: str
    name: str = ""
    entry: str = ""
    overwrite: tuple[str, ...] = ()
    edit: bool = False

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

    @property
    def record(self) -> Path:
        """The values that adoptions gave the inventory. They are this machine's, as is everything in the folder."""
        return self.inventory.parent / ".local/adopted.json"


@dataclass(frozen=True)
class Adoption:
    """The files that would be written, by path, and what there is to say: `folder` as a person writes it.

    `changes` are those of the inventory, `record` the values that adoptions gave it, in the file `record_file`. `kept`
    says by setting which value stays although another was found. `again` is the command that repeats the adoption.
    `context` is the image's folder; `uncommitted`: it has changes that are in no commit. `made` are the lock and the
    first migration that were made for this adoption. `edit`: the application's code is edited.
    """

    inspection: Inspection
    name: str
    folder: str
    files: Mapping[Path, str]
    changes: tuple[str, ...]
    kept: Mapping[str, str]
    again: str
    context: Path
    uncommitted: bool
    record_file: Path
    record: Mapping[str, Value]
    edit: bool = False
    made: tuple[Path, ...] = ()

    @property
    def lock(self) -> Path | None:
        """The lock that is missing and can be made."""
        return self.context / self.inspection.lock if self.inspection.lock_command else None

    @property
    def revision(self) -> Path | None:
        """The first migration that is missing and is to be made."""
        return self.context / self.inspection.revision if self.edit and self.inspection.revision else None

    def written(self, *, preview: bool) -> list[Path]:
        """Return the files that are written, or would be."""
        made = filter(None, [self.lock, self.revision]) if preview else self.made
        return [*made, *self.files]

    def report(self, *, preview: bool) -> str:
        """Return the points, what is written, and how to meet the points that are not met."""
        points = self.inspection.points
        would = "would write" if preview else "wrote"
        lines = [tree(f"{self.name}: the application in {self.folder}", points)]
        lines += [f"{would} {os.path.relpath(path)}" for path in self.written(preview=preview)]
        lines += [f"  {change}" for change in self.changes]
        lines += [f"kept {key}: {said}" for key, said in self.kept.items()]
        if self.kept:
            lines.append(f"  {self.again} OVERWRITE={','.join(self.kept)} takes what the application has")
        return "\n".join([*lines, *filter(None, [steps(points)])])

    @property
    def _to_do(self) -> list[Point]:
        return [point for point in self.inspection.points if point.verdict is Verdict.TO_DO]

    @property
    def what(self) -> str:
        """What is now true."""
        missing = ", ".join(point.subject for point in self._to_do)
        return f"{self.name} meets the contract" + (f", except for: {missing}" if missing else "")

    @property
    def next_command(self) -> str:
        to_do = self._to_do
        if not self.edit and (self.inspection.revision or any(point.edits for point in to_do)):
            return f"{self.again} WRITE=1, which edits what it can; or do it by hand, and repeat the command"
        if to_do:
            return f"do what is listed, commit it, then {self.again}"
        if self.uncommitted or self.made or any(path.name != _SHARED for path in self.files):
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


def with_lock(adoption: Adoption, request: Request, repository: Repository) -> Adoption:
    """Make the lock that is missing, and return the adoption with it. Raises OperationsError if uv cannot make it."""
    if adoption.lock is None:
        return adoption
    before = adoption.lock.read_bytes() if adoption.lock.exists() else None
    try:
        make_lock(adoption.context, adoption.inspection.lock_command)
    except OperationsError:
        if before is None:  # without the export's output, uv writes a lock of nothing
            adoption.lock.unlink(missing_ok=True)
        else:
            adoption.lock.write_bytes(before)
        raise
    made = (adoption.lock,) if adoption.lock.read_bytes() != before else ()
    return replace(adopt(request, repository), made=made)


def with_revision(adoption: Adoption, request: Request, repository: Repository) -> Adoption:
    """Make the first migration that is missing, once the adoption is written, and return the adoption with it.

    This imports the application. Raises OperationsError.
    """
    if adoption.revision is None:
        return adoption
    found = adoption.inspection
    write_file(
        adoption.revision, first_revision(adoption.context, found.root, found.program, found.lock, repository.python)
    )
    made = (*adoption.made, adoption.revision)
    return replace(adopt(request, repository), made=made, files=adoption.files, changes=adoption.changes)


def without_revision(adoption: Adoption, why: str) -> Adoption:
    """Return the adoption whose first migration could not be made, with the reason at its point."""
    step = f"WRITE=1 could not make it: {why}. Mend that and repeat the command, or write it by hand: {BY_HAND}"
    points = tuple(
        replace(point, next_step=step) if point.subject == MIGRATIONS else point for point in adoption.inspection.points
    )
    return replace(adoption, inspection=replace(adoption.inspection, points=points))


def write(adoption: Adoption) -> None:
    """Write the files."""
    for path, text in adoption.files.items():
        write_file(path, text)
    if adoption.files:
        write_file(adoption.record_file, json.dumps(adoption.record, indent=2) + "\n")


def _plan(request: Request, repository: Repository, project: Project, files: Mapping[Path, str]) -> Adoption:
    reference = _reference(repository)
    text = repository.shared.read_text(encoding="utf-8")
    current, recorded = _current(text), _recorded(repository)
    look = partial(
        inspect,
        named=request.entry,
        python=repository.python,
        shown=request.directory,
        given=set(_given_variables(repository)),
        lock_again=LOCKS in request.overwrite,
    )
    inspection = look(project)
    # What an adoption gave the inventory says no more than the application does.
    chosen = {
        key: value
        for key, value in current.items()
        if key in reference and value != reference[key] and value != recorded.get(key)
    }
    own = chosen.get(_NAME) or (current.get(_NAME) if not reference else "")
    name = _valid(request.name or str(own or _slug(inspection.name)), repository)
    context = Path(os.path.normpath(request.path / inspection.folder))
    folder = os.path.normpath(f"{request.directory}/{inspection.folder}")
    source = _source(request, repository, context)
    if reference and current.get(_SOURCE) not in (reference[_SOURCE], source) and _SOURCE not in request.overwrite:
        raise ProblemError(
            f"inventory/{_SHARED} has another application: {current.get(_SOURCE)}. A checkout deploys one.",
            _SOURCE,
            f"adopt {request.directory} in another clone of this repository. If it takes the other's place: "
            f"make adopt DIR={shlex.quote(request.directory)} OVERWRITE={_SOURCE}",
        )
    # Values that a person set for another application say nothing about this one.
    known = chosen if current.get(_SOURCE) == source else {}
    inspection = look(project, known=known)
    written = dict(inspection.admin_to_write)
    if not inspection.has_dockerfile:
        written |= image_files(inspection, name, project.below(inspection.folder))
    if request.edit:
        written |= _edited_modules(inspection, project.below(inspection.folder), context)
    if written:
        files = {**files, **{context / file: content for file, content in written.items()}}
        # The points and values are those of the application and the image that the files make.
        added = {str(PurePosixPath(inspection.folder, file)): content for file, content in written.items()}
        project = project.having(added)
        inspection = look(project, known=known)
    values = _values(inspection, name, source)
    by_name = {*request.overwrite, *([_NAME] if request.name else [])}
    edit = _edited(text, values, current, (reference, recorded), by_name)
    if edit.changed:
        files = {**files, repository.shared: edit.text}
    again = f"make adopt DIR={shlex.quote(folder)}" + (f" APP={request.entry}" if request.entry else "")
    return Adoption(
        inspection=inspection,
        name=name,
        folder=folder,
        files=files,
        changes=tuple(f"{key}: {_shown(current[key])} → {_shown(values[key])}" for key in edit.changed),
        kept={key: f"{_shown(current[key])}, the application has {_shown(values[key])}" for key in edit.kept},
        again=again,
        context=context,
        uncommitted=context.is_dir() and has_changes(context),
        record_file=repository.record,
        record={**recorded, **{key: values[key] for key in edit.changed}},
        edit=request.edit,
    )


def _edited_modules(inspection: Inspection, project: Project, context: Path) -> dict[str, str]:
    """Return the text of the application's modules with what is to do in them, by path.

    A file that was not read as it is, such as one in another encoding, is left alone.
    """
    edits = [edit for point in inspection.points if point.verdict is Verdict.TO_DO for edit in point.edits]
    return {
        path: applied(text, [edit for edit in edits if edit.path == path])
        for path in dict.fromkeys(edit.path for edit in edits)
        if (text := project.files[path]).encode() == (context / path).read_bytes()
    }


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


@dataclass(frozen=True)
class _Edit:
    """The inventory's text, the settings that have new values, and those that stay although others were found."""

    text: str
    changed: list[str]
    kept: list[str]


def _edited(
    text: str,
    values: Mapping[str, Value],
    current: Mapping[str, Any],
    replaceable: Iterable[Mapping[str, Value]],
    by_name: Iterable[str],
) -> _Edit:
    """Return the inventory with new values.

    `replaceable` are the reference application's values, and those that an earlier run wrote. Any other was chosen by a
    person, unless it is empty: then a run on another machine found nothing. A list is also replaced by a longer one
    that contains it.
    """
    changed: list[str] = []
    kept: list[str] = []
    for key, value in values.items():
        if key not in current:
            where = f"inventory/{_SHARED}"
            raise ProblemError(f"{where} does not set {key}.", where, f"add {key}: {flow(value)}")
        if current[key] == value:
            continue
        ours = any(key in given and current[key] == given[key] for given in replaceable)
        if ours or key in by_name or _extends(value, current[key]):
            changed.append(key)
            text = replaced(text, key, value)
        else:
            kept.append(key)
    return _Edit(text, changed, kept)


def _extends(found: Value, current: Any) -> bool:
    """Return whether `found` says more than `current`: the application got what it had not."""
    if isinstance(found, list) and isinstance(current, list):
        return set(current) < set(found)
    return current == "" and bool(found)


def _recorded(repository: Repository) -> dict[str, Value]:
    """Return the values that adoptions gave the inventory; none if they ran on another machine."""
    try:
        return dict(json.loads(repository.record.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


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

"""The files that are written for an application: its Dockerfile, and a whole new application."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fargate_ops.adopt.inspection import Inspection
from fargate_ops.adopt.project import Project
from fargate_ops.adopt.requirements import BUILD_LOCK
from fargate_ops.core.project import ROLES

_ROLE = ROLES / "app_adoption"
#: The files of a new application that are the same for each: dependabot renews its lock.
_NEW = _ROLE / "files/new"


def image_files(inspection: Inspection, name: str, project: Project) -> dict[str, str]:
    """Return the Dockerfile of an inspected application, and the files beside it that it has not; by name."""
    module, _, attribute = inspection.program.partition(":")
    written = {
        "Dockerfile": _render(
            "dockerfile.j2",
            name=name,
            module=module,
            attribute=attribute.removesuffix("()"),
            factory=attribute.endswith("()"),
            lock=inspection.lock,
            build_lock=BUILD_LOCK,
            root=inspection.root,
            library=inspection.uses_library,
            installed=inspection.has_its_routes,
            database=inspection.has_database,
            admin_module=inspection.admin_module,
            schema=inspection.schema,
        )
    }
    for file, source in ((".dockerignore", _ROLE / "files/dockerignore"), (BUILD_LOCK, _NEW / BUILD_LOCK)):
        if file not in project.paths:
            written[file] = source.read_text(encoding="utf-8")
    return written


def new_files(name: str) -> dict[str, str]:
    """Return the files of a new application, by path."""
    paths = sorted(path for path in _NEW.rglob("*") if path.is_file() and path.suffix != ".pyc")
    files = {str(path.relative_to(_NEW)): path.read_text(encoding="utf-8") for path in paths}
    return files | {"app/main.py": _render("main.py.j2", name=name)}


def _render(template: str, **values: Any) -> str:
    environment = Environment(  # noqa: S701 - not HTML
        loader=FileSystemLoader(_ROLE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)

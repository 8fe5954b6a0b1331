"""The files that are written for an application: its Dockerfile, and a whole new application."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fargate_ops.adopt.inspection import Inspection
from fargate_ops.adopt.project import Project
from fargate_ops.adopt.requirements import BUILD_LOCK
from fargate_ops.core.project import ROLES

_TEMPLATES = ROLES / "app_adoption/templates"
_SUFFIX = ".j2"
#: The folder of a new application's files. Each is a template of its own name.
_NEW = "new"


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
            database=inspection.has_database,
            admin_module=inspection.admin_module,
            schema=inspection.schema,
        )
    }
    for file, template in ((".dockerignore", "dockerignore.j2"), (BUILD_LOCK, f"{BUILD_LOCK}{_SUFFIX}")):
        if file not in project.paths:
            written[file] = _render(template)
    return written


def new_files(name: str) -> dict[str, str]:
    """Return the files of a new application, by path."""
    folder = _TEMPLATES / _NEW
    paths = sorted(str(path.relative_to(folder)) for path in folder.rglob(f"*{_SUFFIX}"))
    return {path.removesuffix(_SUFFIX): _render(f"{_NEW}/{path}", name=name) for path in paths}


def _render(template: str, **values: Any) -> str:
    environment = Environment(  # noqa: S701 - not HTML
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)

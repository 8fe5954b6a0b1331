"""How an application uses the library fargate_app, which gives it what the platform asks for."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fargate_ops.adopt.code import Code, calls
from fargate_ops.adopt.dockerfile import Dockerfile
from fargate_ops.adopt.entry import dotted

PACKAGE = "fargate_app"
#: The routes that it adds to an application.
HEALTH_PATH, READY_PATH, VERSION_PATH = "/healthz", "/readyz", "/version"
#: The library's project file, which names its packages. A lock is made from it too.
PYPROJECT = Path(__file__).parents[2] / PACKAGE / "pyproject.toml"


def extras(code: Code, *, has_database: bool, has_driver: bool) -> list[str]:
    """Return the library's extras that an application needs. `has_driver`: it has psycopg or psycopg2 itself."""
    asynchronous = has_argument(code, "asynchronous")
    needs = {"database": has_database, "psycopg": has_database and not has_driver, "asyncio": asynchronous}
    return [name for name, needed in needs.items() if needed]


def has_argument(code: Code, name: str) -> bool:
    """Return whether the application gives the library's Service an argument."""
    made = (
        value
        for path, module in code.modules.items()
        for value in module.values.values()
        if isinstance(value, ast.Call) and code.calls(path, value, PACKAGE, "Service")
    )
    return any(keyword.arg == name for service in made for keyword in service.keywords)


def packages(extras: Sequence[str]) -> list[str]:
    """Return the names of the library's packages with these extras."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    asked = [*project["dependencies"], *(line for name in extras for line in project["optional-dependencies"][name])]
    return sorted({canonicalize_name(Requirement(line).name) for line in asked})


def is_installed(code: Code) -> bool:
    """Return whether the application calls ``service.install(app)``: then it has the library's routes and logs."""
    return any(_callers(code, "install"))


def admin_command(code: Code, root: str) -> list[str]:
    """Return the command of the module that calls ``service.admin()``; empty if there is none."""
    return next((command_of(path, root) for path in _callers(code, "admin")), [])


def command_of(path: str, root: str) -> list[str]:
    """Return the command that runs the module `path`, which Python imports from the folder `root`."""
    name = dotted(str(PurePosixPath(path).relative_to(root)) if root else path)
    return ["python", "-m", name.removesuffix(".__main__")]


def _callers(code: Code, method: str) -> Iterator[str]:
    """Yield the modules that call a method of the library's Service."""
    for path, module in code.modules.items():
        for called, _ in calls(module.tree, [method]):
            ref = code.resolve(path, called.value)
            made = code.modules[ref.path].values.get(ref.name) if ref else None
            if ref and code.calls(ref.path, made, PACKAGE, "Service"):
                yield path


def schema_file(dockerfile: Dockerfile | None) -> str:
    """Return the file in the image that a step of its build writes the schema into; empty if there is none."""
    folder = PurePosixPath("/")
    for step in dockerfile.instructions if dockerfile else ():
        if step.name == "FROM":
            folder = PurePosixPath("/")
        elif step.name == "WORKDIR":
            folder /= step.text
        elif step.name == "RUN" and (written := re.search(r">\s*(\S*schema\.json)", step.text)):
            return str(folder / written[1]).lstrip("/")
    return ""

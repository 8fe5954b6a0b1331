"""How an application uses the library fargate_app, which gives it what the platform asks for."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from fargate_ops.adopt.code import Code, calls
from fargate_ops.adopt.dockerfile import Dockerfile
from fargate_ops.adopt.entry import dotted

PACKAGE = "fargate_app"
#: The routes that it adds to an application.
HEALTH_PATH, READY_PATH, VERSION_PATH = "/healthz", "/readyz", "/version"


def admin_command(code: Code, root: str) -> list[str]:
    """Return the command of the module that calls ``service.admin()``; empty if there is none."""
    for path, module in code.modules.items():
        for method, _ in calls(module.tree, ["admin"]):
            ref = code.resolve(path, method.value)
            made = code.modules[ref.path].values.get(ref.name) if ref else None
            if ref and code.calls(ref.path, made, PACKAGE, "Service"):
                name = dotted(str(PurePosixPath(path).relative_to(root)) if root else path)
                return ["python", "-m", name.removesuffix(".__main__")]
    return []


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

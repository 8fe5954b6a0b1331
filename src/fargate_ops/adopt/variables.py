"""The environment variables that an application reads, as far as its code writes their names."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fargate_ops.adopt.code import Code, Module, argument, assignment, classes

#: What each part of a database's address is called by applications, by the platform's name.
PARTS: Mapping[str, str] = {
    "DATABASE_HOST": "HOST|SERVER|HOSTNAME",
    "DATABASE_PORT": "PORT",
    "DATABASE_NAME": "NAME|DB|DATABASE",
    "DATABASE_USER": "USER|USERNAME",
    "DATABASE_PASSWORD": "PASSWORD|PASS|PASSWD",
}
_PREFIX = r"(?:DATABASE|DB|POSTGRES|POSTGRESQL|PG|SQL)_?"
_URL = re.compile(r"(?:.*_)?(?:DATABASE|DB|POSTGRES|POSTGRESQL|PG|SQL|SQLALCHEMY)_?(?:.*_)?(?:URL|URI|DSN)")


@dataclass(frozen=True)
class Variable:
    """A variable, the line that reads it, and whether the application needs a value. `names` are its other names.

    `field` is the one of pydantic's settings that it fills; empty if the code reads it itself. `read` is the code that
    reads it: a field with its default, or ``os.environ["A"]``.
    """

    name: str
    where: str
    required: bool
    field: str = ""
    names: tuple[str, ...] = ()
    read: ast.expr | ast.AnnAssign | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def is_url(self) -> bool:
        """Whether it is a database's whole address."""
        return bool(_URL.fullmatch(self.name))

    @property
    def part(self) -> str:
        """The platform's variable for the same part of the database's address; empty for any other variable."""
        fitting = (ours for ours, theirs in PARTS.items() if re.fullmatch(f"{_PREFIX}(?:{theirs})", self.name))
        return next(fitting, "")


def variables(code: Code) -> list[Variable]:
    """Return the variables, each once, in the order of their names."""
    found: dict[str, Variable] = {}
    for path in sorted(code.modules):
        module = code.modules[path]
        for variable in (*_settings(code, module), *_environment(module)):
            found.setdefault(variable.name, variable)
    return [found[name] for name in sorted(found)]


def _settings(code: Code, module: Module) -> Iterator[Variable]:
    """Yield the fields of pydantic's settings: https://docs.pydantic.dev/latest/concepts/pydantic_settings/"""
    for owner in classes(module):
        if not _is_settings(code, module, owner):
            continue
        prefix = _env_prefix(module, owner)
        for node in owner.body:
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            name = node.target.id
            if name == "model_config" or "ClassVar" in ast.unparse(node.annotation):
                continue
            aliases = _aliases(node.value)
            names = tuple(alias.upper() for alias in aliases) or (f"{prefix}{name}".upper(),)
            yield Variable(names[0], f"{module.path}:{node.lineno}", _is_required(node.value), name, names[1:], node)


def _is_settings(code: Code, module: Module, owner: ast.ClassDef, depth: int = 4) -> bool:
    for base in owner.bases:
        if any(
            code.is_name(module.path, base, package, "BaseSettings") for package in ("pydantic_settings", "pydantic")
        ):
            return True
        name = base.id if isinstance(base, ast.Name) else ""
        for other in code.modules.values() if depth and name else ():
            if any(
                found.name == name and found is not owner and _is_settings(code, other, found, depth - 1)
                for found in classes(other)
            ):
                return True
    return False


def _env_prefix(module: Module, owner: ast.ClassDef) -> str:
    for name, value in filter(None, map(assignment, owner.body)):
        if name == "model_config" and isinstance(value, ast.Call):
            prefix = argument(value, "env_prefix")
            return prefix.value if isinstance(prefix, ast.Constant) and isinstance(prefix.value, str) else ""
    return ""


def _aliases(value: ast.expr | None) -> list[str]:
    """Return the names in ``Field(validation_alias=AliasChoices("A", "B"))`` or ``Field(alias="A")``."""
    if not isinstance(value, ast.Call):
        return []
    alias = argument(value, "validation_alias") or argument(value, "alias")
    nodes = alias.args if isinstance(alias, ast.Call) else [alias]
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def _is_required(value: ast.expr | None) -> bool:
    """Return whether a field has no default: no value, ``...``, or a ``Field`` without one."""
    if value is None or (isinstance(value, ast.Constant) and value.value is ...):
        return True
    if not isinstance(value, ast.Call) or not ast.unparse(value.func).endswith("Field"):
        return False
    default = argument(value, "default", 0)
    return argument(value, "default_factory") is None and (default is None or _is_required(default))


def _environment(module: Module) -> Iterator[Variable]:
    """Yield ``os.environ["A"]``, ``os.environ.get("A")`` and ``os.getenv("A")``."""
    for node in ast.walk(module.tree):
        key, required = None, False
        if not isinstance(node, ast.Subscript | ast.Call):
            continue
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
            key, required = node.slice, isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("environ.get", "getenv")):
            key = argument(node, "key", 0)
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield Variable(key.value, f"{module.path}:{key.lineno}", required, read=node)

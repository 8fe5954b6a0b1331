"""Where an application's FastAPI object is: ``app.main:app``, or a function that returns it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fargate_ops.adopt.code import Code, Function, Module, Ref, argument, assignment, calls
from fargate_ops.core.problem import ProblemError

_NAMED = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<attribute>[A-Za-z_]\w*)(?P<call>\(\))?")


@dataclass(frozen=True)
class Entry:
    """The object's file and name. `factory`: the name is a function without required arguments that returns it."""

    path: str
    attribute: str
    factory: bool
    line: int

    @property
    def ref(self) -> Ref:
        return Ref(self.path, self.attribute)


def find(code: Code, named: str, hints: Sequence[str] = ()) -> Entry:
    """Return the application's object: the one that is `named`, that a hint names, or the only one.

    `hints` are texts that may name it, such as the command of a Dockerfile. Raises ProblemError.
    """
    candidates = [entry for module in code.modules.values() for entry in _entries(code, module)]
    if named:
        return _named(code, candidates, named)
    mounted = {ref for ref in _mounted(code) if ref}
    objects = [entry for entry in candidates if not entry.factory and entry.ref not in mounted]
    # A function whose result a module keeps, or another function returns, is a step on the way to the object.
    found = objects or _outermost(code, [entry for entry in candidates if entry.factory])
    if len(found) > 1:
        texts = [match for hint in hints for match in _NAMED.finditer(hint)]
        hinted = [entry for entry in found if any(_is(entry, match) for match in texts)]
        found = hinted if len(hinted) == 1 else found
    if len(found) == 1:
        return found[0]
    if not found:
        unreadable = f" {len(code.unreadable)} could not be read as Python." if code.unreadable else ""
        raise ProblemError(
            f"No FastAPI application was found in {len(code.modules)} Python files: neither `app = FastAPI(…)` nor a "
            f"function without required arguments that returns one.{unreadable}",
            "DIR",
            "give the folder of the application, or name its object: APP=orders.main:app",
        )
    listed = ", ".join(sorted(f"{dotted(entry.path)}:{_shown(entry)}" for entry in found))
    raise ProblemError(
        f"{len(found)} FastAPI applications were found: {listed}.",
        "DIR",
        f"name the one to deploy: APP={dotted(found[0].path)}:{_shown(found[0])}",
    )


def _entries(code: Code, module: Module) -> Iterator[Entry]:
    for node in module.tree.body:
        if (assigned := assignment(node)) and _makes(code, module, assigned[1]):
            yield Entry(module.path, assigned[0], False, node.lineno)
    for name, function in module.functions.items():
        if _is_factory(code, module, function) and not _required(function):
            yield Entry(module.path, name, True, function.lineno)


def _makes(code: Code, module: Module, value: ast.expr) -> bool:
    """Return whether `value` is a FastAPI object: ``FastAPI(…)``, or the result of a function that returns one."""
    if not isinstance(value, ast.Call):
        return False
    return code.calls(module.path, value, "fastapi", "FastAPI") or _factory(code, module, value) is not None


def _factory(code: Code, module: Module, call: ast.Call) -> Ref | None:
    """Return the function of the application that `call` calls, if it returns a FastAPI object."""
    ref = code.resolve(module.path, call.func)
    function = code.modules[ref.path].functions.get(ref.name) if ref else None
    return ref if ref and function and _is_factory(code, code.modules[ref.path], function) else None


def _is_factory(code: Code, module: Module, function: Function) -> bool:
    if code.is_name(module.path, function.returns, "fastapi", "FastAPI"):
        return True
    made = {
        name
        for name, value in filter(None, map(assignment, ast.walk(function)))
        if code.calls(module.path, value, "fastapi", "FastAPI")
    }
    returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    return any(
        code.calls(module.path, value, "fastapi", "FastAPI") or (isinstance(value, ast.Name) and value.id in made)
        for value in returned
    )


def _required(function: Function) -> bool:
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return positional > 0 or None in arguments.kw_defaults


def _outermost(code: Code, factories: Sequence[Entry]) -> list[Entry]:
    """Return the functions that no other of them calls."""
    called = {
        (ref, entry.ref)
        for entry in factories
        for node in ast.walk(code.modules[entry.path].functions[entry.attribute])
        if isinstance(node, ast.Call) and (ref := _factory(code, code.modules[entry.path], node))
    }
    inner = {ref for ref, by in called if ref != by}
    return [entry for entry in factories if entry.ref not in inner]


def _mounted(code: Code) -> Iterator[Ref | None]:
    """Yield the objects that are part of another one: ``app.mount("/admin", admin)``."""
    for module in code.modules.values():
        for _, call in calls(module.tree, ["mount"]):
            yield code.resolve(module.path, argument(call, "app", 1))


def _named(code: Code, candidates: Sequence[Entry], named: str) -> Entry:
    match = _NAMED.fullmatch(named)
    if not match:
        raise ProblemError(f"APP={named} is not module:attribute.", "APP", "write it as APP=orders.main:app")
    found = [entry for entry in candidates if _is(entry, match)]
    if not found:
        # A name that is assigned in a way that is not recognised, for example by a class of the application.
        attribute = match["attribute"]
        found = [
            Entry(path, attribute, attribute in module.functions, 1)
            for path, module in code.modules.items()
            if _ends_with(path, match["module"]) and attribute in module.values.keys() | module.functions.keys()
        ]
    if len(found) == 1:
        return found[0]
    what = f"APP={named} fits {len(found)} files: {', '.join(entry.path for entry in found)}."
    raise ProblemError(
        what if found else f"There is no {match['attribute']} in a module {match['module']}.",
        "APP",
        "give the folder that has only one: DIR=…" if found else "name the application's object: APP=orders.main:app",
    )


def _is(entry: Entry, match: re.Match[str]) -> bool:
    return entry.attribute == match["attribute"] and _ends_with(entry.path, match["module"])


def _ends_with(path: str, module: str) -> bool:
    return f".{dotted(path)}".endswith(f".{module}")


def dotted(path: str) -> str:
    """Return the module in dots, from the project's folder: ``backend/app/main.py`` is ``backend.app.main``."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _shown(entry: Entry) -> str:
    return f"{entry.attribute}()" if entry.factory else entry.attribute


def import_root(code: Code, path: str) -> str:
    """Return the folder from which Python imports the file `path`, as the application's own imports show."""
    folders = [str(folder).removeprefix(".") for folder in PurePosixPath(path).parents]
    absolute = {name.partition(".")[0] for name in code.imported}
    for folder, package in zip(reversed(folders), PurePosixPath(path).parts, strict=True):
        if package in absolute:
            return folder
    # `from ..x import y` needs two packages above the file's folder.
    level = max((found.level for found in code.modules[path].imports.values()), default=0)
    return next(
        folder
        for folder in folders[level:] or folders[-1:]
        if str(PurePosixPath(folder, "__init__.py")) not in code.modules
    )


def imported_as(entry: Entry, root: str) -> str:
    """Return the object as a server takes it: ``app.main:app``, ``app.main:create_app()``."""
    path = PurePosixPath(entry.path).relative_to(root) if root else PurePosixPath(entry.path)
    return f"{dotted(str(path))}:{_shown(entry)}"

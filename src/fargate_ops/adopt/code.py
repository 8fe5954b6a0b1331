"""An application's Python code as syntax trees: imports, names, and values that are written out."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from fargate_ops.adopt.project import Project

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Ref:
    """A name in a module of the application; without a name, the module itself."""

    path: str
    name: str = ""


@dataclass(frozen=True)
class _Import:
    """A module in dots, ``level`` folders up if relative, and the name that is imported of it; none: the module."""

    module: str
    name: str = ""
    level: int = 0


@dataclass
class Module:
    """A Python file. Names that a function assigns count as the module's: applications are often built in one."""

    path: str
    text: str
    tree: ast.Module
    imports: dict[str, _Import] = field(default_factory=dict)
    values: dict[str, ast.expr] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, text: str, tree: ast.Module) -> Module:
        module = cls(path, text, tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    # `import a.b` binds a.
                    bound = name.asname or name.name.partition(".")[0]
                    module.imports[bound] = _Import(name.name if name.asname else bound)
            elif isinstance(node, ast.ImportFrom):
                for name in node.names:
                    module.imports[name.asname or name.name] = _Import(node.module or "", name.name, node.level)
            elif (assigned := assignment(node)) is not None:
                module.values.setdefault(*assigned)
        module.functions |= {node.name: node for node in tree.body if isinstance(node, Function)}
        return module

    @property
    def lines(self) -> list[str]:
        """The lines as Python counts them: a form feed ends none."""
        return self.text.removesuffix("\n").split("\n")

    def span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        """Return where a node begins and ends in the file's text."""
        lines = self.lines

        def offset(line: int, column: int) -> int:  # Python counts bytes of UTF-8 in a line
            return sum(len(it) + 1 for it in lines[: line - 1]) + len(lines[line - 1].encode()[:column].decode())

        return offset(node.lineno, node.col_offset), offset(node.end_lineno or 0, node.end_col_offset or 0)

    def part(self, node: ast.stmt | ast.expr) -> str:
        """Return the text of a node as the file has it."""
        start, end = self.span(node)
        return self.text[start:end]


def parsed(text: str) -> ast.Module | None:
    """Return the syntax tree of a Python file; None if it is not Python, or of a later version of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in a string of the application
            return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def assignment(node: ast.AST) -> tuple[str, ast.expr] | None:
    """Return the name and the value of ``name = value`` or ``name: type = value``; None for any other node."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        return node.target.id, node.value
    return None


class Code:
    """The modules of an application by path."""

    def __init__(self, project: Project) -> None:
        self.modules: dict[str, Module] = {}
        #: Files that are not Python, or of a later version of it.
        self.unreadable: list[str] = []
        for path in project.modules:
            text = project.files[path]
            if tree := parsed(text):
                self.modules[path] = Module.of(path, text, tree)
            else:
                self.unreadable.append(path)

    @cached_property
    def imported(self) -> set[str]:
        """The names of all modules that are imported, in dots: ``sqlalchemy.ext.asyncio``."""
        return {
            name
            for module in self.modules.values()
            for found in module.imports.values()
            if not found.level
            for name in (found.module, f"{found.module}.{found.name}")
        }

    def imports(self, package: str) -> bool:
        """Return whether a module imports `package` or a module of it."""
        return any(name == package or name.startswith(f"{package}.") for name in self.imported)

    def calls(self, path: str, node: ast.AST | None, package: str, name: str) -> bool:
        """Return whether `node` calls `name` of an installed package: ``FastAPI()``, ``fastapi.FastAPI()``."""
        return isinstance(node, ast.Call) and self.is_name(path, node.func, package, name)

    def is_name(self, path: str, node: ast.AST | None, package: str, name: str) -> bool:
        """Return whether `node` is `name` of an installed package, whatever the module calls it."""
        imports = self.modules[path].imports
        if isinstance(node, ast.Constant) and isinstance(node.value, str):  # a quoted annotation
            return node.value.rpartition(".")[2] == name
        if isinstance(node, ast.Name) and node.id in imports:
            found = imports[node.id]
            return found.name == name and found.module.partition(".")[0] == package and not found.level
        if isinstance(node, ast.Attribute) and node.attr == name:
            owner = root_name(node)
            return owner in imports and imports[owner].module.partition(".")[0] == package
        return False

    def resolve(self, path: str, node: ast.AST | None) -> Ref | None:
        """Return where the name or attribute `node` of a module is defined; None if it is not in the application."""
        if isinstance(node, ast.Name):
            return self._member(path, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.resolve(path, node.value)
            return self._member(owner.path, node.attr) if owner and not owner.name else None
        return None

    def _member(self, path: str, name: str, seen: frozenset[Ref] = frozenset()) -> Ref | None:
        module, ref = self.modules[path], Ref(path, name)
        if ref in seen:
            return None
        if name in module.values or name in module.functions:
            return ref
        if name in module.imports:
            found = module.imports[name]
            if not found.name:
                return self._module(path, found.module)
            if submodule := self._module(path, f"{found.module}.{found.name}".strip("."), found.level):
                return submodule
            source = self._module(path, found.module, found.level)
            return self._member(source.path, found.name, seen | {ref}) if source else None
        if path.endswith("__init__.py"):
            return self._file(str(PurePosixPath(path).parent / name))
        return None

    def _module(self, importer: str, dotted: str, level: int = 0) -> Ref | None:
        """Return the module `dotted` as `importer` imports it, from the nearest folder that has it."""
        inner = dotted.replace(".", "/")
        folders = list(PurePosixPath(importer).parents)
        for folder in folders[level - 1 : level] if level else folders:
            if found := self._file(str(folder / inner)):
                return found
        return None

    def _file(self, name: str) -> Ref | None:
        paths = [path for path in (f"{name}.py", f"{name}/__init__.py") if path in self.modules]
        return Ref(paths[0]) if paths else None

    def text(self, path: str, node: ast.AST | None, depth: int = 8) -> str | None:
        """Return the text that `node` is: a literal, a constant, a setting's default; None if it is not written out.

        `depth` limits how many names it is followed through.
        """
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.JoinedStr | ast.BinOp):
            plus = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
            operands = node.values if isinstance(node, ast.JoinedStr) else [node.left, node.right] if plus else []
            parts = [self.text(path, operand, depth) for operand in operands]
            return None if None in parts or not parts else "".join(map(str, parts))
        if isinstance(node, ast.FormattedValue):
            return self.text(path, node.value, depth)
        ref = self.resolve(path, node)
        if ref and depth and ref.name in self.modules[ref.path].values:
            return self.text(ref.path, self.modules[ref.path].values[ref.name], depth - 1)
        if isinstance(node, ast.Attribute):
            defaults = self._defaults.get(node.attr, set())
            return next(iter(defaults)) if len(defaults) == 1 else None
        return None

    @cached_property
    def _defaults(self) -> Mapping[str, set[str]]:
        """The texts that classes assign to each of their attributes."""
        found: dict[str, set[str]] = {}
        for module in self.modules.values():
            for owner in classes(module):
                for name, value in filter(None, map(assignment, owner.body)):
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        found.setdefault(name, set()).add(value.value)
        return found


def root_name(node: ast.expr) -> str:
    """Return the first name of ``a.b.c``; empty if it is something else."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def classes(module: Module) -> Iterator[ast.ClassDef]:
    """Yield the classes of a module."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """Return an argument of a call by its name, or else by its position."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == name]
    if named:
        return named[0]
    return call.args[position] if position is not None and position < len(call.args) else None


def calls(tree: ast.AST, attributes: Sequence[str]) -> Iterator[tuple[ast.Attribute, ast.Call]]:
    """Yield each call of a method with one of these names, ``router.include_router(…)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in attributes:
            yield node.func, node

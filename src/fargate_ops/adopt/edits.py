"""Edits of an application's modules: lines that a person can paste, or that are written on request."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fargate_ops.adopt.code import Code, Module, parsed
from fargate_ops.adopt.entry import Entry


@dataclass(frozen=True)
class Statement:
    """A statement of the application, as its file has it."""

    module: Module
    node: ast.stmt

    @property
    def is_alone(self) -> bool:
        """Whether it contains no other statement, and its lines have none."""
        start, _ = self.module.span(self.node)
        before = self.module.text[:start].rpartition("\n")[2]
        return not hasattr(self.node, "body") and not before.strip() and self.comment.lstrip()[:1] in ("", "#")

    @property
    def comment(self) -> str:
        """What follows it in its last line."""
        _, end = self.module.span(self.node)
        return self.module.text[end:].partition("\n")[0]

    @property
    def is_of_module(self) -> bool:
        return self.node in self.module.tree.body

    def having(self, old: ast.expr, new: str) -> list[str]:
        """Return its lines with an expression replaced."""
        margin = " " * self.node.col_offset
        (start, end), (first, last) = (self.module.span(node) for node in (self.node, old))
        indented = new.replace("\n", f"\n{margin}")
        text = margin + self.module.text[start:first] + indented + self.module.text[last:end] + self.comment
        return text.split("\n")


@dataclass(frozen=True)
class Edit:
    """Lines for the module `path`: in the place of those from `first` to `last`, or before `first` if none are.

    `imports` are the lines of imports that they need and the module has not. `place` says in words where they go.
    """

    path: str
    first: int
    last: int
    lines: tuple[str, ...]
    imports: tuple[str, ...]
    place: str

    @property
    def step(self) -> str:
        """What a person pastes. Its imports may stand anywhere before their use."""
        text = textwrap.dedent("\n".join(self.lines)).strip("\n")
        imports = [*self.imports, ""] if self.imports else []
        verb = "put" if self.last >= self.first else "add"
        return titled(f"{verb} {self.place}:", [*imports, *text.split("\n")])


def replacing(statement: Statement, lines: Iterable[str], imports: Iterable[str] = ()) -> Edit:
    """Return the edit that puts lines in the place of a statement."""
    module, first, last = statement.module, statement.node.lineno, statement.node.end_lineno or 0
    place = f"in the place of {module.path}:{first}" + ("" if first == last else f" to line {last}")
    return Edit(module.path, first, last, tuple(lines), missing(module, imports), place)


def after_imports(module: Module, lines: Iterable[str], imports: Iterable[str] = ()) -> Edit:
    """Return the edit that adds lines after a module's imports."""
    first = _imported(module.tree, len(module.lines) + 1)
    text = ("", "", *lines)
    return Edit(module.path, first, first - 1, text, missing(module, imports), f"to {module.path}, after its imports")


def to_application(code: Code, entry: Entry, lines: Iterable[str], imports: Iterable[str]) -> tuple[Edit, ...]:
    """Return the edit that adds lines after the application's object; none if a function makes it."""
    if entry.factory:
        return ()
    module = code.modules[entry.path]
    main = [
        node.lineno for node in module.tree.body if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
    ]
    first = main[0] if main else len(module.lines) + 1
    place = f"to {entry.path}, before line {first}" if main else f"to the end of {entry.path}"
    text = ("", "", *lines) if not main else (*lines, "", "")
    return (Edit(entry.path, first, first - 1, text, missing(module, imports), place),)


def missing(module: Module, imports: Iterable[str]) -> tuple[str, ...]:
    """Return those lines of imports that a module has not."""
    has = set()
    for node in module.tree.body if module else ():
        for name in (
            node.names if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0) else ()
        ):
            start = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            has.add(f"{start}import {name.name}" + (f" as {name.asname}" if name.asname else ""))
    return tuple(line for line in imports if line not in has)


def applied(text: str, edits: Sequence[Edit]) -> str:
    """Return a module's text with all edits, and their imports after its own."""
    lines = text.removesuffix("\n").split("\n")
    tree = parsed(text)
    top = _imported(tree, min(edit.first for edit in edits)) if tree else 1
    for _, edit in sorted(enumerate(edits), key=lambda item: (item[1].first, item[0]), reverse=True):
        lines[edit.first - 1 : edit.last] = edit.lines
    imports = dict.fromkeys(line for edit in edits for line in edit.imports)
    lines[top - 1 : top - 1] = sorted(imports, key=lambda line: (line.startswith("from "), line))
    return "\n".join(lines) + "\n"


def _imported(tree: ast.Module, before: int) -> int:
    """Return the first line after the imports of a module, or its docstring, that stand before a line."""
    body = [node for node in tree.body if (node.end_lineno or 0) < before]
    docstring = body[:1] if body and isinstance(body[0], ast.Expr) else []
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    return max((node.end_lineno or 0 for node in [*docstring, *imports]), default=0) + 1


def titled(title: str, lines: Iterable[str]) -> str:
    """Return lines below a title, indented."""
    return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])

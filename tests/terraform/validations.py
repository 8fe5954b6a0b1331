"""Every `validation` and `precondition` of Terraform, and whether it would hold for given variables.

A condition is expanded until it speaks of a root's variables only, and evaluated by `terraform console`, which needs no
provider: what a module's variable is stands in the call of the module, what a local is in its `locals`.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.terraform.configuration import ROOTS, documents
from tests.terraform.terraform import SOURCE

_REFERENCE = re.compile(r"(?<![\w.])(var|local)\.(\w+)")
#: What only an apply knows.
_UNKNOWN = re.compile(r"(?<![\w.])(module|data|aws_\w+)\.")


@dataclass(frozen=True)
class Condition:
    """One condition: its `name` is place, variable or resource, and number; `root` is whose variables it speaks of."""

    name: str
    root: str
    expression: str

    @property
    def is_known(self) -> bool:
        """Whether it speaks of variables only."""
        return not _UNKNOWN.search(self.expression)


class _Directory:
    """A root or a called module: its blocks, and the expression of each of its variables."""

    def __init__(self, path: Path, given: Mapping[str, str] | None = None) -> None:
        """`given` are the arguments of the call; without them a root, whose variables are given."""
        self.path = path.resolve()
        files = documents(self.path)

        def blocks(kind: str) -> dict[str, Any]:
            return {name: body for file in files for block in file.get(kind, []) for name, body in block.items()}

        self._locals = {name: _hcl(value) for name, value in blocks("locals").items()}
        self.variables = {json.loads(name): body for name, body in blocks("variable").items()}
        self.modules = blocks("module")
        self.resources = [
            (f"{json.loads(kind)}.{json.loads(name)}", body)
            for file in files
            for block in file.get("resource", [])
            for kind, named in block.items()
            for name, body in named.items()
        ]
        self.defaults = {name: _hcl(body.get("default")) for name, body in self.variables.items()}
        if given is None:
            self._given = {name: f"given.{name}" for name in self.variables}
        else:
            self._given = {**self.defaults, **given}

    def expanded(self, expression: str) -> str:
        """The expression without variables and locals of this directory."""

        def replace(reference: re.Match[str]) -> str:
            kind, name = reference.groups()
            return f"({self._given[name] if kind == 'var' else self.expanded(self._locals[name])})"

        return _REFERENCE.sub(replace, expression)


def conditions() -> list[Condition]:
    """All of them; of a module that is called more than once, as the first call has it."""
    found: dict[str, Condition] = {}
    for root, path in ROOTS.items():
        for name, expression in _walk(_Directory(path)):
            found.setdefault(name, Condition(name, root, expression))
    return list(found.values())


def _walk(directory: _Directory) -> Iterator[tuple[str, str]]:
    place = str(directory.path.relative_to(SOURCE))
    checked = [(name, body.get("validation", [])) for name, body in directory.variables.items()]
    for name, body in directory.resources:
        checked.append(
            (name, [block for cycle in body.get("lifecycle", []) for block in cycle.get("precondition", [])])
        )
    for name, blocks in checked:
        for number, block in enumerate(blocks):
            yield f"{place} {name} {number}", directory.expanded(_hcl(block["condition"]))
    for body in directory.modules.values():
        given = {name: directory.expanded(_hcl(value)) for name, value in body.items()}
        yield from _walk(_Directory(directory.path / json.loads(body["source"]), given))


def holding(directory: Path, asked: Mapping[str, tuple[Condition, Mapping[str, Any]]]) -> dict[str, bool]:
    """Whether each condition holds for its root's variables, by the name under which it is asked. An error is false."""
    lines = [
        f"default_{root} = {{{', '.join(f'{name} = {value}' for name, value in _Directory(path).defaults.items())}}}"
        for root, path in ROOTS.items()
    ]
    for number, (condition, variables) in enumerate(asked.values()):
        expression = re.sub(r"(?<![\w.])given\.", f"local.given_{number}.", condition.expression)
        text = json.dumps(json.dumps(variables)).replace("${", "$${")
        lines += [f"given_{number} = merge(local.default_{condition.root}, jsondecode({text}))"]
        lines += [f"holds_{number} = try(tobool({expression}), false)"]
    (directory / "main.tf").write_text("locals {\n  " + "\n  ".join(lines) + "\n}\n", encoding="utf-8")
    question = f"jsonencode([{', '.join(f'local.holds_{number}' for number in range(len(asked)))}])"
    done = subprocess.run(
        ["terraform", "console"], cwd=directory, input=question, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(asked, json.loads(json.loads(done.stdout)), strict=True))


def _hcl(value: Any) -> str:
    """A value as python-hcl2 gives it, as an expression again."""
    if isinstance(value, str):
        return f"({value[2:-1]})" if value.startswith("${") and value.endswith("}") else value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_hcl(item)}" for key, item in value.items() if not key.startswith("__")) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_hcl, value)) + "]"
    return json.dumps(value)

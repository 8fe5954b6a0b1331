"""The declarations of a root or module, read with python-hcl2: no Terraform, no provider."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import hcl2

from tests.terraform.terraform import SOURCE

ROOTS = {"environment": SOURCE, "account": SOURCE / "account"}
MODULES = sorted((SOURCE / "modules").iterdir())
#: Arguments of a call that are Terraform's own, not variables of the module.
_META_ARGUMENTS = {"source", "count", "for_each", "depends_on", "providers"}


class Call(NamedTuple):
    """A call of a module. `arguments` are its expressions by the module's variable."""

    name: str
    module: Path
    arguments: dict[str, Any]


@cache
def documents(directory: Path) -> list[dict[str, Any]]:
    return [hcl2.loads(file.read_text(encoding="utf-8")) for file in sorted(directory.glob("*.tf"))]


def variables(directory: Path) -> dict[str, dict[str, Any]]:
    """Return the declaration of each variable."""
    return dict(_blocks(documents(directory), "variable"))


def calls(directory: Path) -> list[Call]:
    return [_call(directory, name, body) for name, body in _blocks(documents(directory), "module")]


def example(readme: Path) -> Call:
    """Return the call of the module that its README shows."""
    text = readme.read_text(encoding="utf-8").partition("```hcl\n")[2].partition("```")[0]
    ((name, body),) = _blocks([hcl2.loads(text)], "module")
    return _call(readme.parent, name, body)


def _call(directory: Path, name: str, body: dict[str, Any]) -> Call:
    arguments = {key: value for key, value in body.items() if key not in _META_ARGUMENTS and not key.startswith("__")}
    return Call(name, (directory / _plain(body["source"])).resolve(), arguments)


def _blocks(found: list[dict[str, Any]], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for document in found:
        for entry in document.get(kind, []):
            for name, body in entry.items():
                yield _plain(name), body


def _plain(text: str) -> str:
    return text.strip('"')

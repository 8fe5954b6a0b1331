"""docs/fidelity.md has a row for each module of differences, and each row names what exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
CLOUD = REPOSITORY / "src/local_cloud"
WORDS = ("same", "simplified", "absent")


def _is_patch(module: ast.Module) -> bool:
    """Whether a module has ``apply``, or functions that take the place of the emulator's."""
    functions = [item for item in ast.walk(module) if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
    decorators = [decorator for item in functions for decorator in item.decorator_list]
    return any(item.name == "apply" for item in functions) or any(
        isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in ("extends", "replaces")
        for decorator in decorators
    )


def _modules() -> list[str]:
    """Each patch, and each module whose docstring links to the behaviour of AWS that it implements."""
    found = []
    for path in CLOUD.rglob("*.py"):
        if path.is_relative_to(CLOUD / "host"):
            continue
        module = ast.parse(path.read_text())
        if _is_patch(module) or "https://" in (ast.get_docstring(module) or ""):
            found.append(path.relative_to(CLOUD).as_posix())
    return sorted(found)


def _rows() -> list[list[str]]:
    text = (REPOSITORY / "docs/fidelity.md").read_text(encoding="utf-8")
    table = text.split("<!-- BEGIN_BEHAVIOURS -->")[1].split("<!-- END_BEHAVIOURS -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    return [row for row in rows if not row[0].startswith("**")]


ROWS = _rows()


@pytest.mark.parametrize("module", _modules())
def test_a_module_of_differences_has_a_row(module: str) -> None:
    named = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row[2])}
    assert module in named, (
        f"add a row for {module} to docs/fidelity.md: behaviour of AWS with a link, word, module, test"
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_a_row_is_whole_and_names_what_exists(row: list[str]) -> None:
    behaviour, local, modules, tests = row
    assert re.search(r"\]\(https://\S+\)", behaviour), "no link"
    word = re.match(r"\w+", local)
    assert word
    assert word[0] in WORDS
    for module in re.findall(r"`([^`]+)`", modules):
        assert (CLOUD / module).is_file(), module
    named = re.findall(r"`([^`:]+)(?:::(\w+))?`", tests)
    assert named or word[0] == "absent", "only what is absent is shown by no test"
    for file, function in named:
        assert (REPOSITORY / file).is_file(), file
        assert f"def {function}" in (REPOSITORY / file).read_text(), f"{file}::{function}"

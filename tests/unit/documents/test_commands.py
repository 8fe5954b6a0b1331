"""Every `make` command that a document or a message shows is a command: it runs, and each word arrives as it is shown.

Programs are stubs here. tests/e2e/test_deployment.py really runs the commands of tests/e2e/documents.py.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.makefile import REPOSITORY, Tree

_VALUE = r"""(?:'[^'\n]*'|"[^"\n]*"|[^\s'"`,;)\\])*"""
_COMMAND = re.compile(rf"(?P<mark>`|\$ |)\bmake (?P<verb>[a-z-]+)(?P<settings>(?: [A-Z]+={_VALUE})*)")
#: What stands for a value of the reader's or of the program's.
_OPEN = re.compile(r"<(?:env|environment)>|\$\{?[\w.]+\}?|(?s:\{\{.*?\}\})+")
#: Expressions of messages that are not a value.
_AT = {"at": "ENV=staging", "numbers": "", "' '.join(flags)": "NAME=qa"}
#: These start no playbook.
_OTHERS = {"help", "venv", "lock", "check", "test", "rehearse", "coverage", "mutation", "docs", "pictures", "bench"}


def _texts() -> Iterator[tuple[Path, str]]:
    """The text of each document, and each string of each program."""
    files = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for path in map(Path, files.splitlines()):
        if path.parts[0] in {"tests", "CHANGELOG.md"} or "molecule" in path.parts or not (REPOSITORY / path).is_file():
            continue
        if path.suffix == ".py":
            tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
            yield from ((path, text) for text in _strings(tree))
        elif path.suffix in {".md", ".yml", ".j2", ".tf"}:
            yield path, (REPOSITORY / path).read_text(encoding="utf-8")


def _strings(node: ast.AST) -> Iterator[str]:
    """The parts of a formatted string are no strings of their own."""
    if isinstance(node, ast.JoinedStr):
        yield "".join(_part(value) for value in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from _strings(child)


def _part(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    assert isinstance(value, ast.FormattedValue)
    return _AT.get(ast.unparse(value.value), "staging")


def _commands() -> dict[str, Path]:
    """Each command, and one place that shows it."""
    goals = re.search(r"(?m)^VERBS := (.*)$", (REPOSITORY / "Makefile").read_text())
    assert goals
    found: dict[str, Path] = {}
    for path, text in _texts():
        for match in _COMMAND.finditer(_OPEN.sub("staging", text)):
            known = match["verb"] in goals[1].split()
            if match["verb"] == "staging" or not (known or match["mark"] or match["settings"]):
                continue  # the program chooses the verb; "make sure", say
            found.setdefault(f"make {match['verb']}{match['settings'].rstrip('.:')}", path)
    return found


COMMANDS = _commands()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return Tree(tmp_path_factory.mktemp("checkout"))


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_that_is_shown_is_a_command(tree: Tree, command: str) -> None:
    _, verb, *settings = shlex.split(command)
    if verb in _OTHERS:
        assert tree.make("-n", verb, *settings).code == 0, COMMANDS[command]
        return
    made = tree.run(["bash", "-c", command])
    assert made.code == 0, (COMMANDS[command], made.errors)
    assert made.call
    given = dict(setting.split("=", 1) for setting in settings)
    assert f"inventory/{given.pop('ENV', 'local')}" in made.call.arguments
    words = shlex.split(given.get("ARGS", ""))
    assert not words or made.call.arguments[-len(words) :] == words
    if given.pop("CHECK", ""):
        assert "--check" in made.call.arguments
    assert {name: made.call.environment[name] for name in given} == given


def test_commands_are_found() -> None:
    """In documents, in messages, with the quotes that were lost once."""
    assert {
        "make deploy",
        "make logs FILTER='\"ERROR\"'",
        "make logs ENV=staging FILTER='\" 4\"'",
        "make logs ENV=staging SINCE=1h FILTER='\"held too long\"'",
        "make new-env NAME=qa FROM=staging REGION=ap-northeast-2 ACCOUNT=222222222222",
        "make rotate-secret ENV=staging ARGS='-e rotate_older_than_days=0'",
    } <= COMMANDS.keys()

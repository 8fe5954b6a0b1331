"""The commands of the documents, in order: each line after a ``$`` in a fenced block."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/first-deployment.md", "CONTRIBUTING.md")

_FENCED = re.compile(r"^([ ]*)```(\S*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SHELL = {"console", "bash", "sh", "shell"}
#: Commands that change the shell itself. They apply to the later commands of the block.
_LASTING = (". ", "source ", "cd ", "export ")


@dataclass(frozen=True)
class Command:
    """A command without its comment. `before` holds the commands above it in its block that change the shell."""

    document: str
    text: str
    before: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.document}: {self.text}"

    @property
    def script(self) -> str:
        return "\n".join(["set -euo pipefail", *self.before, self.text])


def commands(text: str, document: str) -> Iterator[Command]:
    """Yield the commands of one document. Raise ValueError for a shell block without commands: no test would run it."""
    for _, language, block in _FENCED.findall(text):
        if language not in _SHELL:
            continue
        lines = textwrap.dedent(block).splitlines()
        found = [re.sub(r"\s+#\s.*$", "", line[2:]).strip() for line in lines if line.startswith("$ ")]
        if not found:
            raise ValueError(f"{document}: no line of this block begins with `$ `:\n{block}")
        lasting: tuple[str, ...] = ()
        for command in found:
            yield Command(document, command, lasting)
            if command.startswith(_LASTING):
                lasting += (command,)


def documented() -> list[Command]:
    """Return the commands of all documents, in the order in which a newcomer reads them."""
    return [
        command
        for document in DOCUMENTS
        for command in commands((REPOSITORY / document).read_text(encoding="utf-8"), document)
    ]

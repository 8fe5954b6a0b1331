from __future__ import annotations

import re

import pytest

from tests.e2e.documents import DOCUMENTS, REPOSITORY, commands, documented

TEXT = """
```console
$ . .venv/bin/activate
$ make deploy     # brings it up
  what it prints
$ make run CMD='echo "#1"'
```

```hcl
$ is no command here
```

- in a list:

  ```bash
  $ (cd roles && ls)
  ```
"""


def test_commands_are_what_stands_after_a_dollar_in_order() -> None:
    found = list(commands(TEXT, "A.md"))
    assert [command.text for command in found] == [
        ". .venv/bin/activate",
        "make deploy",
        """make run CMD='echo "#1"'""",
        "(cd roles && ls)",
    ]
    assert found[1].script == "set -euo pipefail\n. .venv/bin/activate\nmake deploy"
    assert found[3].before == ()


def test_a_block_that_nobody_would_run_is_refused() -> None:
    with pytest.raises(ValueError, match="no line of this block"):
        list(commands("```console\nmake deploy\n```\n", "A.md"))


def test_the_documents_have_commands() -> None:
    assert {command.document for command in documented()} == set(DOCUMENTS)


OTHERS = [f"docs/{name}.md" for name in ("commands", "how-it-works", "where-things-are", "github", "monitoring")]


@pytest.mark.parametrize("document", [*DOCUMENTS, *OTHERS])
def test_every_target_that_is_named_exists(document: str) -> None:
    """In sentences and tables too, where nothing is run."""
    targets = set(re.findall(r"^([a-z][a-z-]*(?: [a-z-]+)*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    known = {name for line in targets for name in line.split()}
    named = re.findall(r"`make ([a-z][a-z-]*)", (REPOSITORY / document).read_text())
    assert named
    assert set(named) <= known


def test_every_target_stands_in_the_table_of_commands() -> None:
    goals = re.search(r"(?m)^VERBS := (.*)$", (REPOSITORY / "Makefile").read_text())
    assert goals
    rows = re.findall(r"(?m)^\| (.*?) \|", (REPOSITORY / "docs/commands.md").read_text())
    assert set(re.findall(r"`make ([a-z-]+)", "\n".join(rows))) == set(goals[1].split())

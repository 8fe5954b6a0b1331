"""Evaluate the expressions of GitHub's workflows, as far as they are used: ``${{ … }}`` and `if`.

Anything unknown is an error, never empty: https://docs.github.com/actions/reference/workflows-and-actions/expressions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class UnsupportedError(AssertionError):
    """A workflow uses something that is not implemented here."""


_TOKEN = re.compile(r"\s*(?:(\|\||&&|==|!=|\(|\)|,)|'((?:[^']|'')*)'|([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*))")


#: Contexts whose keys are all known here, so that a wrong one is a mistake.
_CLOSED = {"github", "jobs", "matrix", "needs", "runner", "steps"}


class Expression:
    """An expression of names, strings, ``||``, ``&&``, ``==``, ``!=``, ``hashFiles``, and the status functions."""

    def __init__(self, text: str, contexts: Mapping[str, Any], failed: bool = False) -> None:
        self.text, self._contexts, self._failed = text, contexts, failed
        self.uses_status = False
        self._tokens, place = [], 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if not found:
                raise UnsupportedError(f"the expression {text}")
            self._tokens.append(found)
            place = found.end()

    def value(self) -> Any:
        found = self._or()
        if self._tokens:
            raise UnsupportedError(f"the expression {self.text}, from {self._tokens[0][0]}")
        return found

    def _next(self, *operators: str) -> str | None:
        """Consume and return the next token if it is one of these operators."""
        if self._tokens and self._tokens[0][1] in operators:
            return str(self._tokens.pop(0)[1])
        return None

    def _or(self) -> Any:
        found = self._and()
        while self._next("||"):
            other = self._and()
            found = found or other
        return found

    def _and(self) -> Any:
        found = self._comparison()
        while self._next("&&"):
            other = self._comparison()
            found = found and other
        return found

    def _comparison(self) -> Any:
        found = self._operand()
        while operator := self._next("==", "!="):
            # Case is ignored; a missing value equals an empty string.
            same = str(found or "").casefold() == str(self._operand() or "").casefold()
            found = same if operator == "==" else not same
        return found

    def _operand(self) -> Any:
        if self._next("("):
            found = self._or()
            if not self._next(")"):
                raise UnsupportedError(f"the expression {self.text}")
            return found
        token = self._tokens.pop(0) if self._tokens else None
        if token is None or token[1]:
            raise UnsupportedError(f"the expression {self.text}")
        if token[2] is not None:
            return token[2].replace("''", "'")
        if token[3] == "hashFiles":
            return self._hash()
        if self._next("("):
            if not self._next(")") or token[3] not in {"always", "success", "failure"}:
                raise UnsupportedError(f"the function {token[3]} of {self.text}")
            self.uses_status = True
            return {"always": True, "success": not self._failed, "failure": self._failed}[token[3]]
        return self._lookup(token[3])

    def _hash(self) -> str:
        """Return one hash of the workspace's files with the names in parentheses. Patterns are not supported."""
        names = []
        while self._next("(" if not names else ","):
            names.append(str(self._operand()))
        files = [Path(str(self._lookup("github.workspace"))) / name for name in names]
        if not self._next(")") or not all(file.is_file() for file in files):
            raise UnsupportedError(f"the files of {self.text}")
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    def _lookup(self, name: str) -> Any:
        """Return a value. An unknown key of a context in `_CLOSED` is an error; a deeper key, an input, or a variable
        that is not set, is empty."""
        root, *keys = name.split(".")
        found = self._contexts.get(root)
        if found is None or not keys or (root in _CLOSED and keys[0] not in found):
            raise UnsupportedError(f"{name}: there is no such value")
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found


def fill(text: str, contexts: Mapping[str, Any]) -> str:
    """Return the text with each ``${{ … }}`` replaced by its value."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(Expression(found[1], contexts).value() or ""), text, flags=re.S)


def fill_all(node: Mapping[str, str], contexts: Mapping[str, Any]) -> dict[str, str]:
    return {key: fill(text, contexts) for key, text in node.items()}


def holds(condition: str, contexts: Mapping[str, Any], *, failed: bool = False) -> bool:
    """Evaluate an `if`. Without a status function in it, it also requires that no step has failed."""
    wrapped = re.fullmatch(r"\s*\$\{\{(.*)\}\}\s*", condition, re.DOTALL)
    expression = Expression(wrapped[1] if wrapped else condition, contexts, failed)
    found = bool(expression.value())
    return found and (expression.uses_status or not failed)

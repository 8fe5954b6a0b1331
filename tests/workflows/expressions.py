"""Expressions of GitHub's workflows, as far as they are used: ``${{ … }}`` and `if`.

What is not known is an error, never empty: https://docs.github.com/actions/reference/workflows-and-actions/expressions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


class UnsupportedError(AssertionError):
    """A workflow says what is not known here."""


_TOKEN = re.compile(r"\s*(?:(\|\||&&|==|!=|\(|\)|,)|'((?:[^']|'')*)'|([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*))")


class Expression:
    """``${{ … }}``: names, strings, ``||``, ``&&``, ``==``, ``!=``, and the functions of a job's status."""

    def __init__(self, text: str, contexts: Mapping[str, Any], failed: bool = False) -> None:
        self.text, self._contexts, self._failed = text, contexts, failed
        self.asks_status = False
        self._tokens, place = [], 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if not found:
                raise UnsupportedError(f"the expression {text}")
            self._tokens.append(found)
            place = found.end()

    def value(self) -> Any:
        found = self._either()
        if self._tokens:
            raise UnsupportedError(f"the expression {self.text}, from {self._tokens[0][0]}")
        return found

    def _next(self, *operators: str) -> str | None:
        """The next operator, taken, when it is one of these."""
        if self._tokens and self._tokens[0][1] in operators:
            return str(self._tokens.pop(0)[1])
        return None

    def _either(self) -> Any:
        found = self._both()
        while self._next("||"):
            other = self._both()
            found = found or other
        return found

    def _both(self) -> Any:
        found = self._compared()
        while self._next("&&"):
            other = self._compared()
            found = found and other
        return found

    def _compared(self) -> Any:
        found = self._one()
        while operator := self._next("==", "!="):
            # Without regard to case; what is not there is as an empty string.
            same = str(found or "").casefold() == str(self._one() or "").casefold()
            found = same if operator == "==" else not same
        return found

    def _one(self) -> Any:
        if self._next("("):
            found = self._either()
            if not self._next(")"):
                raise UnsupportedError(f"the expression {self.text}")
            return found
        token = self._tokens.pop(0) if self._tokens else None
        if token is None or token[1]:
            raise UnsupportedError(f"the expression {self.text}")
        if token[2] is not None:
            return token[2].replace("''", "'")
        if self._next("("):
            if not self._next(")") or token[3] not in {"always", "success", "failure"}:
                raise UnsupportedError(f"the function {token[3]} of {self.text}")
            self.asks_status = True
            return {"always": True, "success": not self._failed, "failure": self._failed}[token[3]]
        return self._named(token[3])

    def _named(self, name: str) -> Any:
        """`vars` and `github` hold all that there is; deeper, and in `inputs`, what is not there is empty."""
        root, *keys = name.split(".")
        found = self._contexts.get(root)
        if found is None or not keys or (root in {"github", "vars"} and keys[0] not in found):
            raise UnsupportedError(f"{name}: there is no such value")
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found


def fill(text: str, contexts: Mapping[str, Any]) -> str:
    """The text with its ``${{ … }}`` replaced."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(Expression(found[1], contexts).value() or ""), text, flags=re.S)


def fill_all(node: Mapping[str, str], contexts: Mapping[str, Any]) -> dict[str, str]:
    return {key: fill(text, contexts) for key, text in node.items()}


def holds(condition: str, contexts: Mapping[str, Any], *, failed: bool = False) -> bool:
    """An `if`: with no function of the status in it, only while nothing has failed."""
    wrapped = re.fullmatch(r"\s*\$\{\{(.*)\}\}\s*", condition, re.DOTALL)
    expression = Expression(wrapped[1] if wrapped else condition, contexts, failed)
    found = bool(expression.value())
    return found and (expression.asks_status or not failed)

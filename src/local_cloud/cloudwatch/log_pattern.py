"""Filter patterns of CloudWatch Logs, as AWS documents them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html has three kinds, all
case-sensitive.

- Terms, for any line: each ``term`` must occur, at least one ``?term``, and no ``-term``. A phrase, or a term with
  other characters than letters, digits and underscores, is in double quotes. A ``?term`` beside other terms is ignored.
- ``{ $.level = "ERROR" && $.milliseconds > 100 }``, for lines of JSON.
- ``[address, user, status = 4*, ...]``, for lines whose fields are separated by spaces.

``%expression%`` is a regular expression. It may replace any term or value.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[str], bool]

_TERM = re.compile(r'(?P<sign>[?-]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|%(?P<expression>[^%]+)%|(?P<plain>\w+))(?=\s|$)')
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<selector>\$(?:\.[\w-]+|\.?\['[^']+'\]|\.?\["[^"]+"\]|\[\d+\])*)
    | (?P<quoted>"(?:[^"\\]|\\.)*")
    | (?P<expression>%[^%]+%)
    | (?P<mark>&&|\|\||!=|<=|>=|[=<>(),])
    | (?P<word>[^\s=!<>&|(),"%\[\]{}]+)
    )""",
    re.VERBOSE,
)
_STEP = re.compile(
    r"""\.?\[(?P<index>\d+)\]|\.?\['(?P<single>[^']+)'\]|\.?\["(?P<double>[^"]+)"\]|\.(?P<name>[\w-]+)"""
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
#: A field of a line: in brackets, in quotes, or up to the next space.
_FIELD = re.compile(r'\[([^\]]*)\]|"([^"]*)"|(\S+)')
#: Letters, digits, `:_#=@/;,-`, these operators, and a space; no parentheses and no other characters.
_EXPRESSION = re.compile(r"[A-Za-z0-9:_#=@/;,\-^$?\[\]{}|\\*+. ]+")
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MISSING = object()


class PatternError(ValueError):
    """AWS refuses this pattern. The message says why."""


def compile_pattern(pattern: str) -> Test:
    """Return a function that decides whether a message matches.

    Raises:
        PatternError: the pattern is not valid.
    """
    pattern = pattern.strip()
    if pattern.startswith("{"):
        return _json(pattern)
    if pattern.startswith("["):
        return _fields(pattern)
    return _terms(pattern)


# -- terms -----------------------------------------------------------------------------------------------------------


def _terms(pattern: str) -> Test:
    required: list[Test] = []
    optional: list[Test] = []
    position = 0
    while position < len(pattern):
        term = _TERM.match(pattern, position)
        if term is None:
            raise PatternError(
                f"not a term: {pattern[position:]!r}; anything but letters, digits and underscores needs double quotes"
            )
        test = _term(term)
        if term["sign"] == "?":
            optional.append(test)
        elif term["sign"] == "-":
            required.append(lambda message, test=test: not test(message))  # type: ignore[misc]
        else:
            required.append(test)
        position = term.end()
        while position < len(pattern) and pattern[position].isspace():
            position += 1
    if required or not optional:
        return lambda message: all(test(message) for test in required)
    return lambda message: any(test(message) for test in optional)


def _term(term: re.Match[str]) -> Test:
    if term["expression"] is not None:
        expression = _expression(term["expression"])
        return lambda message: expression.search(message) is not None
    text = term["plain"] if term["quoted"] is None else _unquoted(term["quoted"])
    return lambda message: text in message


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _expression(text: str) -> re.Pattern[str]:
    if not _EXPRESSION.fullmatch(text):
        raise PatternError(f"%{text}% has a character that CloudWatch's regular expressions do not take")
    try:
        return re.compile(text)
    except re.error as error:
        raise PatternError(f"%{text}% is no regular expression: {error}") from None


# -- JSON, and fields separated by spaces ------------------------------------------------------------------------------


def _json(pattern: str) -> Test:
    parser = _Parser(_inside(pattern, "}"), json_selectors=True)
    condition = parser.alternatives()
    parser.end()

    def matches(message: str) -> bool:
        try:
            document = json.loads(message)
        except ValueError:
            return False
        return isinstance(document, dict) and condition(lambda selector: _select(document, selector))

    return matches


def _fields(pattern: str) -> Test:
    """Parse the parts: names with or without conditions. One part may be ``...``, for any number of fields."""
    parser = _Parser(_inside(pattern, "]"), json_selectors=False)
    parts: list[Condition | None] = [parser.field()]
    while parser.take("mark", ","):
        parts.append(parser.field())
    parser.end()
    if parts.count(None) > 1:
        raise PatternError("... may stand once")
    ellipsis = parts.index(None) if None in parts else len(parts)
    before, after = parts[:ellipsis], parts[ellipsis + 1 :]

    def matches(message: str) -> bool:
        fields = [next(text for text in found if text is not None) for found in _found(message)]
        if len(fields) < len(before) + len(after) or (ellipsis == len(parts) and len(fields) > len(before)):
            return False
        tail = fields[len(fields) - len(after) :]
        pairs = [*zip(before, fields, strict=False), *zip(after, tail, strict=True)]
        return all(condition is not None and condition(lambda _, value=value: value) for condition, value in pairs)  # type: ignore[misc]

    return matches


def _found(message: str) -> list[tuple[str | None, ...]]:
    return [match.groups() for match in _FIELD.finditer(message)]


def _inside(pattern: str, end: str) -> str:
    if not pattern.endswith(end):
        raise PatternError(f"{pattern!r} does not end with {end}")
    return pattern[1:-1]


#: Returns the value of a selector or a field's name in a message.
Lookup = Callable[[str], Any]
Condition = Callable[[Lookup], bool]


class _Parser:
    """Recursive descent over the conditions of one pattern."""

    def __init__(self, text: str, *, json_selectors: bool) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._json = json_selectors
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise PatternError(f"unexpected {text[position:].strip()!r}")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()

    def take(self, kind: str, *values: str) -> str | None:
        """Take the next token and return its text, if it is of this kind and one of `values`, if given."""
        if self._tokens and self._tokens[0][0] == kind and (not values or self._tokens[0][1] in values):
            return self._tokens.pop(0)[1]
        return None

    def end(self) -> None:
        if self._tokens:
            raise PatternError(f"unexpected {self._tokens[0][1]!r}")

    def field(self) -> Condition | None:
        """Parse a part of a space-delimited pattern. None stands for ``...``; a name alone matches every field."""
        if self.take("word", "..."):
            return None
        if self._tokens[:1] and self._tokens[0][0] == "word" and self._tokens[1:2] in ([], [("mark", ",")]):
            self.take("word")
            return lambda lookup: True
        return self.alternatives()

    def alternatives(self) -> Condition:
        found = [self._all()]
        while self.take("mark", "||"):
            found.append(self._all())
        return lambda lookup: any(condition(lookup) for condition in found)

    def _all(self) -> Condition:
        found = [self._one()]
        while self.take("mark", "&&"):
            found.append(self._one())
        return lambda lookup: all(condition(lookup) for condition in found)

    def _one(self) -> Condition:
        if self.take("mark", "("):
            condition = self.alternatives()
            if not self.take("mark", ")"):
                raise PatternError("a parenthesis is not closed")
            return condition
        subject = self.take("selector" if self._json else "word")
        if subject is None or subject == "$":
            raise PatternError(f"expected a {'selector such as $.level' if self._json else 'name of a field'}")
        test = self._test()
        return lambda lookup: test(lookup(subject))

    def _test(self) -> Callable[[Any], bool]:
        if self._json and self.take("word", "IS"):
            wanted = {"NULL": None, "TRUE": True, "FALSE": False}
            name = self.take("word", *wanted)
            if name is None:
                raise PatternError("expected NULL, TRUE or FALSE after IS")
            return lambda value: value is wanted[name]
        if self._json and self.take("word", "NOT"):
            if not self.take("word", "EXISTS"):
                raise PatternError("expected EXISTS after NOT")
            return lambda value: value is _MISSING
        mark = self.take("mark", "=", "!=", *_COMPARISONS)
        if mark is None:
            raise PatternError("expected a comparison")
        if mark in _COMPARISONS:
            word = self.take("word") or ""
            if not _NUMBER.fullmatch(word):
                raise PatternError(f"{mark} compares with a number")
            compare, limit = _COMPARISONS[mark], float(word)
            return lambda value: (number := _number(value)) is not None and compare(number, limit)
        equals = self._value()
        if mark == "=":
            return equals
        return lambda value: value is not _MISSING and value is not None and not equals(value)

    def _value(self) -> Callable[[Any], bool]:
        if expression := self.take("expression"):
            compiled = _expression(expression[1:-1])
            return lambda value: isinstance(value, str) and compiled.search(value) is not None
        if quoted := self.take("quoted"):
            wildcard = _wildcard(_unquoted(quoted[1:-1]))
            return lambda value: isinstance(value, str) and wildcard.fullmatch(value) is not None
        word = self.take("word")
        if word is None:
            raise PatternError("expected a value")
        wildcard = _wildcard(word)
        if not _NUMBER.fullmatch(word):
            return lambda value: isinstance(value, str) and wildcard.fullmatch(value) is not None
        wanted = float(word)
        return lambda value: _number(value) == wanted


def _wildcard(text: str) -> re.Pattern[str]:
    """``*`` stands for any characters."""
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _select(document: Any, selector: str) -> Any:
    """Return the value of ``$.a.b[0]`` in `document`, or `_MISSING`."""
    value = document
    for step in _STEP.finditer(selector):
        if step["index"] is not None:
            index = int(step["index"])
            value = value[index] if isinstance(value, list) and index < len(value) else _MISSING
        else:
            name = step["single"] or step["double"] or step["name"]
            value = value.get(name, _MISSING) if isinstance(value, dict) else _MISSING
    return value

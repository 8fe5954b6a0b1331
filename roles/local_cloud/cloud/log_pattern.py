"""Filter patterns of CloudWatch Logs for unstructured lines, as AWS documents them.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html: terms are case-sensitive and all
must be there, ``?term`` any of several, ``-term`` none; a phrase, and a term of anything but letters, digits and
underscores, is in double quotes; ``%expression%`` is a regular expression. A ``?term`` beside others means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_TERM = re.compile(r'(?P<sign>[?-]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|%(?P<expression>[^%]+)%|(?P<plain>\w+))(?=\s|$)')


class PatternError(ValueError):
    """AWS refuses this pattern, or this emulation does not know its kind."""


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """What tells whether a message matches.

    Raises:
        PatternError: see there.
    """
    pattern = pattern.strip()
    if pattern.startswith(("{", "[")):
        raise PatternError(f"patterns of JSON and of space-delimited fields are not emulated: {pattern}")
    required: list[Callable[[str], bool]] = []
    optional: list[Callable[[str], bool]] = []
    position = 0
    while position < len(pattern):
        term = _TERM.match(pattern, position)
        if term is None:
            raise PatternError(
                f"not a term: {pattern[position:]!r}; anything but letters, digits and underscores needs double quotes"
            )
        test = _test(term)
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


def _test(term: re.Match[str]) -> Callable[[str], bool]:
    if term["expression"] is not None:
        expression = re.compile(term["expression"])
        return lambda message: expression.search(message) is not None
    text = term["plain"] if term["quoted"] is None else re.sub(r"\\(.)", r"\1", term["quoted"])
    return lambda message: text in message

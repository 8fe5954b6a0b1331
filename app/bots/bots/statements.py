"""Redact the literals of SQL, and compute one fingerprint for all executions of the same statement.

Tokens are those of PostgreSQL (https://www.postgresql.org/docs/current/sql-syntax-lexical.html) with
``standard_conforming_strings`` on, its default since 9.1. Each pass over a text is linear in its length. A token that
is still open at the end of a text (a log line may be cut anywhere) counts as a literal up to that end.
"""

from __future__ import annotations

import re

from bots.values import digest

#: How much of a statement is read. What follows does not change its fingerprint.
CHARACTERS = 100_000

_TOKEN = re.compile(
    r"""
      (?P<line_comment>--[^\n]*)
    | (?P<block_comment>/\*)
    | (?P<escape_string>[eE]'(?:[^'\\]|\\.|'')*(?:'|\\?\Z))
    | (?P<string>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|\Z))
    | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$)
    | (?P<parameter>\$\d+)
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*(?:"|\Z))
    | (?P<name>[^\W\d][\w$]*)
    | (?P<number>(?:0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*\.?|\.\d)[\d_]*(?:[eE][+-]?\d+)?)\w*)
    | (?P<space>\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
#: ``(?, ?, ?)`` of any length is one statement, and so is a row list of any length.
_LIST = re.compile(r"\( ?\?(?: ?, ?\?)+ ?\)")
_ROWS = re.compile(r"(\(\?, …\)|\( ?\? ?\))(?: ?, ?(?:\(\?, …\)|\( ?\? ?\)))+")


def redact(statement: str) -> str:
    """Return the statement with ``?`` for each literal and ``/* … */`` for each comment; all else stays."""
    return "".join(_tokens(statement, comment="/* … */"))


def fingerprint(database: str, user: str, statement: str) -> str:
    """Return one id for all executions of a statement by one user in one database, with any literals and layout."""
    text = " ".join("".join(_tokens(statement[:CHARACTERS], comment=" ", fold=True)).split()).rstrip("; ")
    text = _ROWS.sub(r"\1, …", _LIST.sub("(?, …)", text))
    return digest(database, user, text)


def _tokens(text: str, comment: str, fold: bool = False) -> list[str]:
    shown: list[str] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        assert token is not None, "every character is a token"  # noqa: S101
        at = token.end()
        match token.lastgroup:
            case "line_comment":
                shown.append(comment)
            case "block_comment":
                at = _comment_end(text, at)
                shown.append(comment)
            case "escape_string" | "string" | "number":
                shown.append("?")
            case "dollar" | "tag":
                end = text.find(token["dollar"], at)
                at = len(text) if end < 0 else end + len(token["dollar"])
                shown.append("?")
            case "name" if fold:
                shown.append(token[0].lower())
            case "space" if fold:
                shown.append(" ")
            case _:
                shown.append(token[0])
    return shown


def _comment_end(text: str, at: int) -> int:
    """Return the end of the block comment that began before ``at``. Block comments nest."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, at):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(text)

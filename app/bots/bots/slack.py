"""What Slack is sent: blocks within its limits, in which no text of a stranger can mention, link or format anything.

Limits: https://docs.slack.dev/reference/block-kit/blocks. A text is cleaned, escaped, then cut, in this order.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

Block = dict[str, Any]
#: What a webhook takes: ``{"text": the notification's line, "blocks": [...]}``.
Payload = dict[str, Any]

HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3000
FIELD_CHARACTERS = 2000
CODE_CHARACTERS = SECTION_CHARACTERS - len("``````")
FIELDS = 10
BLOCKS = 50
URL_CHARACTERS = 1500

#: Reorder or hide what stands around them; shown as what they are not.
_DECEPTIVE = {*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF}
_MENTION = re.compile(r"@(?=here|channel|everyone)", re.IGNORECASE)
_HALF_ENTITY = re.compile(r"&[a-z]{0,4}$")
#: What an address may hold as it is (RFC 3986).
_URL = ":/?#[]@!$&'()*+,;=%-._~"
#: Between "@" and its word: invisible, and no longer a mention (added after cleaning, which takes it out).
_WORD_JOINER = "\u2060"


def clean(text: str) -> str:
    """``text`` without control characters, lone surrogates, bidirectional overrides and invisible characters."""
    return "".join(character if _is_shown(character) else "\ufffd" for character in text)


def _is_shown(character: str) -> bool:
    if character in "\n\t":
        return True
    return unicodedata.category(character) not in {"Cc", "Cs"} and ord(character) not in _DECEPTIVE


def escape(text: str) -> str:
    """``text`` so that Slack shows it as it is: it can neither link nor mention anybody.

    https://api.slack.com/reference/surfaces/formatting#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def safe(text: str, limit: int) -> str:
    """A stranger's text for mrkdwn, of at most ``limit`` characters as Slack counts them. Backticks end no code."""
    # Nothing below makes a text shorter: what is beyond the limit need not be looked at.
    shown = _MENTION.sub(f"@{_WORD_JOINER}", clean(text[: limit + 1]).replace("`", "'"))
    return cut(escape(shown), limit)


def cut(escaped: str, limit: int) -> str:
    """The beginning of an escaped text, no entity of it cut in half."""
    if width(escaped) <= limit:
        return escaped
    short = escaped[: limit - 1]
    while width(short) > limit - 1:
        short = short[: -max(1, (width(short) - limit + 1) // 2)]
    return f"{_HALF_ENTITY.sub('', short)}…"


def width(text: str) -> int:
    """Characters as UTF-16 counts them, the less favourable of the two ways in use."""
    return len(text) + sum(character > "\uffff" for character in text)


def header(text: str) -> Block:
    """One line, large. Plain text: nothing in it is formatted, and nothing is escaped."""
    line = " ".join(clean(text).split()) or "-"
    return {"type": "header", "text": {"type": "plain_text", "text": cut(line, HEADER_CHARACTERS), "emoji": True}}


def fields(facts: Mapping[str, str]) -> list[Block]:
    """Names and values in two columns; a value is a stranger's text. Empty values are left out."""
    shown = [
        _mrkdwn(f"*{safe(name, 100)}*\n{safe(value, FIELD_CHARACTERS - 200)}")
        for name, value in facts.items()
        if value.strip()
    ]
    return [{"type": "section", "fields": shown[at : at + FIELDS]} for at in range(0, len(shown), FIELDS)]


def code(text: str) -> Block:
    """A stranger's text as it is, in a box of its own, as far as it fits (`fits`)."""
    return {"type": "section", "text": _mrkdwn(f"```{safe(text, CODE_CHARACTERS) or ' '}```")}


def fits(text: str) -> bool:
    """Whether `code` shows all of it."""
    return len(text) <= CODE_CHARACTERS and width(safe(text, 10 * CODE_CHARACTERS)) <= CODE_CHARACTERS


def section(mrkdwn: str) -> Block:
    """Our own mrkdwn; whatever in it is a stranger's went through `safe` or `command`."""
    return {"type": "section", "text": _mrkdwn(cut(mrkdwn, SECTION_CHARACTERS))}


def context(*mrkdwn: str) -> Block:
    """Small print, of our own mrkdwn."""
    return {"type": "context", "elements": [_mrkdwn(cut(text, FIELD_CHARACTERS)) for text in mrkdwn]}


def command(text: str, limit: int = 1000) -> str:
    """A stranger's text as inline code, which cannot hold a line's end."""
    return f"`{safe(' '.join(text.split()), limit) or ' '}`"


def link(url: str, label: str) -> str:
    """A link. Whoever wrote the address, nothing in it ends it; too long a one is left out."""
    shown = safe(label, 200).replace("|", "/")
    address = escape(quote(url, safe=_URL, errors="replace"))
    return f"<{address}|{shown}>" if len(address) <= URL_CHARACTERS else shown


def quoted(text: str) -> str:
    """A stranger's text as a part of an address."""
    return quote(text, safe="", errors="replace")


def console(service: str, region: str, fragment: str) -> str:
    """An address in the AWS console, or an empty string for what is no region."""
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d{1,2}", region):
        return ""
    home = f"https://{region}.console.aws.amazon.com/{quote(service)}/home?region={region}"
    return f"{home}#{quote(fragment, safe='/:?=&%$', errors='replace')}"


def payload(summary: str, blocks: Iterable[Block]) -> Payload:
    """The message. ``summary`` is the line of the notification on a phone; a stranger's text in it is made safe."""
    shown = list(blocks)
    if len(shown) > BLOCKS:
        shown = [*shown[: BLOCKS - 1], context(f"{len(shown) - BLOCKS + 1} more parts are left out")]
    return {"text": safe(" ".join(summary.split()), 300), "blocks": shown}


def moment(at: datetime) -> str:
    """``2026-01-31 09:00:01 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack makes no link, name or mention out of plain text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}

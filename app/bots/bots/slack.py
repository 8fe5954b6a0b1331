"""Build messages of blocks within Slack's limits, in which foreign text cannot mention, link or format anything.

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
#: The body that a webhook accepts: ``{"text": the notification's line, "blocks": [...]}``.
Payload = dict[str, Any]

HEADER_CHARACTERS = 150
SECTION_CHARACTERS = 3000
FIELD_CHARACTERS = 2000
CODE_CHARACTERS = SECTION_CHARACTERS - len("``````")
FIELDS = 10
BLOCKS = 50
URL_CHARACTERS = 1500

#: Characters that reorder or hide the text around them; each is replaced.
_DECEPTIVE = {*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF}
_MENTION = re.compile(r"@(?=here|channel|everyone)", re.IGNORECASE)
_HALF_ENTITY = re.compile(r"&[a-z]{0,4}$")
#: Characters that an address may contain unescaped (RFC 3986).
_URL = ":/?#[]@!$&'()*+,;=%-._~"
#: Invisible between "@" and its word, which is then no mention (added after `clean`, which removes it).
_WORD_JOINER = "\u2060"


def clean(text: str) -> str:
    """Return ``text`` without control characters, lone surrogates, bidirectional overrides and invisible characters."""
    return "".join(character if _is_shown(character) else "\ufffd" for character in text)


def _is_shown(character: str) -> bool:
    if character in "\n\t":
        return True
    return unicodedata.category(character) not in {"Cc", "Cs"} and ord(character) not in _DECEPTIVE


def escape(text: str) -> str:
    """Return ``text`` escaped, so that Slack shows it as it is, without links and mentions.

    https://api.slack.com/reference/surfaces/formatting#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def safe(text: str, limit: int) -> str:
    """Return foreign text for mrkdwn, at most ``limit`` characters as Slack counts them. Its backticks end no code."""
    # Nothing below makes a text shorter, so characters beyond the limit are not needed.
    shown = _MENTION.sub(f"@{_WORD_JOINER}", clean(text[: limit + 1]).replace("`", "'"))
    return cut(escape(shown), limit)


def cut(escaped: str, limit: int) -> str:
    """Return the beginning of an escaped text, without half an entity at its end."""
    if width(escaped) <= limit:
        return escaped
    short = escaped[: limit - 1]
    while width(short) > limit - 1:
        short = short[: -max(1, (width(short) - limit + 1) // 2)]
    return f"{_HALF_ENTITY.sub('', short)}…"


def width(text: str) -> int:
    """Return the number of characters as UTF-16 counts them, the higher of the two counts in use."""
    return len(text) + sum(character > "\uffff" for character in text)


def header(text: str) -> Block:
    """Return a header of one line. It is plain text: nothing is formatted, and nothing is escaped."""
    line = " ".join(clean(text).split()) or "-"
    return {"type": "header", "text": {"type": "plain_text", "text": cut(line, HEADER_CHARACTERS), "emoji": True}}


def fields(facts: Mapping[str, str]) -> list[Block]:
    """Return names and values in two columns. Values may be foreign text; empty ones are left out."""
    shown = [
        _mrkdwn(f"*{safe(name, 100)}*\n{safe(value, FIELD_CHARACTERS - 200)}")
        for name, value in facts.items()
        if value.strip()
    ]
    return [{"type": "section", "fields": shown[at : at + FIELDS]} for at in range(0, len(shown), FIELDS)]


def code(text: str) -> Block:
    """Return foreign text in a box of its own, cut if it does not fit (`fits`)."""
    return {"type": "section", "text": _mrkdwn(f"```{safe(text, CODE_CHARACTERS) or ' '}```")}


def fits(text: str) -> bool:
    """Return whether `code` shows all of the text."""
    return len(text) <= CODE_CHARACTERS and width(safe(text, 10 * CODE_CHARACTERS)) <= CODE_CHARACTERS


def section(mrkdwn: str) -> Block:
    """Return our own mrkdwn. Foreign text in it must have passed `safe` or `command`."""
    return {"type": "section", "text": _mrkdwn(cut(mrkdwn, SECTION_CHARACTERS))}


def context(*mrkdwn: str) -> Block:
    """Return our own mrkdwn in small print."""
    return {"type": "context", "elements": [_mrkdwn(cut(text, FIELD_CHARACTERS)) for text in mrkdwn]}


def command(text: str, limit: int = 1000) -> str:
    """Return foreign text as inline code, in one line."""
    return f"`{safe(' '.join(text.split()), limit) or ' '}`"


def link(url: str, label: str) -> str:
    """Return a link. A foreign address cannot end it; an address that is too long is left out."""
    shown = safe(label, 200).replace("|", "/")
    address = escape(quote(url, safe=_URL, errors="replace"))
    return f"<{address}|{shown}>" if len(address) <= URL_CHARACTERS else shown


def quoted(text: str) -> str:
    """Return foreign text as a part of an address."""
    return quote(text, safe="", errors="replace")


def console(service: str, region: str, fragment: str) -> str:
    """Return an address in the AWS console, or an empty string if ``region`` is no region."""
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d{1,2}", region):
        return ""
    home = f"https://{region}.console.aws.amazon.com/{quote(service)}/home?region={region}"
    return f"{home}#{quote(fragment, safe='/:?=&%$', errors='replace')}"


def payload(summary: str, blocks: Iterable[Block]) -> Payload:
    """Return the message. ``summary`` is the line of a phone's notification; foreign text in it is made safe."""
    shown = list(blocks)
    if len(shown) > BLOCKS:
        shown = [*shown[: BLOCKS - 1], context(f"{len(shown) - BLOCKS + 1} more parts are left out")]
    return {"text": safe(" ".join(summary.split()), 300), "blocks": shown}


def moment(at: datetime) -> str:
    """Return a time as ``2026-01-31 09:00:01 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _mrkdwn(text: str) -> Block:
    # verbatim: Slack makes no link, name or mention out of plain text.
    return {"type": "mrkdwn", "text": text, "verbatim": True}

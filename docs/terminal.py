"""Run a command on a terminal of its own, and draw what it shows at the end as an SVG picture."""

from __future__ import annotations

import codecs
import fcntl
import html
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import pyte
from pyte.screens import Char

COLUMNS, LINES = 100, 50
#: More lines than any command writes: nothing scrolls away.
_KEPT_LINES = 2000

#: In the picture's units: a character's width, a line's height, the space around the text.
_WIDTH, _HEIGHT, _MARGIN = 8.4, 19, 16
_PAPER, _INK = "#0d1117", "#e6edf3"
#: By pyte's names. Each has a contrast of at least 4.5 to the paper.
_COLOURS = {
    "black": "#8b949e",
    "red": "#ff7b72",
    "green": "#3fb950",
    "brown": "#d29922",
    "blue": "#58a6ff",
    "magenta": "#bc8cff",
    "cyan": "#39c5cf",
    "white": _INK,
}
_STYLE = 'font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre'


@dataclass(frozen=True)
class Shown:
    """What a terminal shows when its command has ended."""

    status: int
    rows: Sequence[Sequence[Char]]

    @property
    def text(self) -> str:
        return "\n".join("".join(cell.data for cell in row).rstrip() for row in self.rows)

    def svg(self, command: str) -> str:
        """Return the picture: the command, and below it what the terminal shows."""
        typed = [Char(character, bold=True) for character in f"$ {command}"]
        rows = [typed, *self.rows]
        width, height = COLUMNS * _WIDTH + 2 * _MARGIN, len(rows) * _HEIGHT + 2 * _MARGIN
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" aria-label='
            f'"{html.escape(command)}">',
            f"<style>text {{ {_STYLE} }}</style>",
            f'<rect width="100%" height="100%" rx="8" fill="{_PAPER}"/>',
        ]
        for number, row in enumerate(rows):
            runs = "".join(_runs(row))
            if runs:
                lines.append(f'<text y="{_MARGIN + number * _HEIGHT + 14:g}" xml:space="preserve">{runs}</text>')
        return "\n".join([*lines, "</svg>", ""])


def run(command: Sequence[str], environment: Mapping[str, str]) -> Shown:
    """Run a command on a terminal until it ends."""
    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    settings = {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    process = subprocess.Popen(
        command, stdin=inner, stdout=inner, stderr=inner, env={**environment, **settings}, start_new_session=True
    )
    os.close(inner)
    screen = pyte.Screen(COLUMNS, _KEPT_LINES)
    stream, decode = pyte.Stream(screen), codecs.getincrementaldecoder("utf-8")("replace").decode
    while read := _read(terminal):
        stream.feed(decode(read))
    os.close(terminal)
    rows = [[screen.buffer[row][column] for column in range(COLUMNS)] for row in range(screen.cursor.y + 1)]
    while rows and all(cell.data == " " for cell in rows[-1]):
        rows.pop()
    return Shown(process.wait(), rows)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux's answer once no process has the terminal open
        return b""


def _runs(row: Sequence[Char]) -> Iterator[str]:
    """Yield the parts of a line that have one style, each at its own place: fonts differ in width."""
    for (colour, bold), run_of in groupby(enumerate(row), key=lambda at: (at[1].fg, at[1].bold)):
        cells = list(run_of)
        text = "".join(cell.data for _, cell in cells)
        start = cells[0][0] + len(text) - len(text.lstrip())
        if text := text.strip():
            style = f' fill="{_colour(colour)}"' + (' font-weight="bold"' if bold else "")
            place = f'x="{_MARGIN + start * _WIDTH:g}" textLength="{len(text) * _WIDTH:g}"'
            yield f"<tspan {place}{style}>{html.escape(text)}</tspan>"


def _colour(name: str) -> str:
    if name in _COLOURS:
        return _COLOURS[name]
    plain = name.removeprefix("bright")
    return _COLOURS.get(plain, _INK if plain == "default" else f"#{name}")

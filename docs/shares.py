"""Draw the new version's share of the requests over time, a panel for each strategy, as one SVG picture."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from docs.drawing import STYLE

#: In the picture's units: a panel, the space between two, and the space for axis and title.
_WIDTH, _HEIGHT, _GAP, _LEFT, _TOP, _BOTTOM = 190, 110, 34, 58, 34, 66
_LINES = """
.share { fill: none; stroke: #0969da; stroke-width: 2.5 } .undo { fill: #ddf4ff; stroke: none }
text.start { text-anchor: start } text.end { text-anchor: end }
@media (prefers-color-scheme: dark) { .share { stroke: #4493f8 } .undo { fill: #10233d } }
"""


@dataclass(frozen=True)
class Panel:
    """A strategy's steps: from which minute, which percent. The old version's tasks run until minute ``both_until``."""

    title: str
    steps: Sequence[tuple[float, float]]
    both_until: float


#: With the inventory's default percents and minutes; the new tasks are healthy after one minute.
PANELS = (
    Panel("rolling", [(0, 0), (0.5, 50), (1, 100)], 0.5),
    Panel("blue_green", [(0, 0), (1, 100)], 6),
    Panel("canary", [(0, 0), (1, 10), (6, 100)], 11),
    Panel("linear", [(0, 0), (1, 20), (6, 40), (11, 60), (16, 80), (21, 100)], 26),
)
_MINUTES = (0, 10, 20, 30)


def svg(panels: Sequence[Panel] = PANELS) -> str:
    """Return the picture. The tinted time is that in which undoing needs no new tasks."""
    width = _LEFT + len(panels) * (_WIDTH + _GAP)
    height = _TOP + _HEIGHT + _BOTTOM
    title = "The new version's share of the requests, by strategy"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{title}">',
        f"<style>{STYLE}{_LINES}</style>",
        '<rect class="paper" width="100%" height="100%" rx="8"/>',
        f'<text class="end" x="{_LEFT - 8}" y="{_TOP + 5}">100 %</text>',
        f'<text class="end" x="{_LEFT - 8}" y="{_TOP + _HEIGHT + 5}">0 %</text>',
    ]
    for number, panel in enumerate(panels):
        lines += _panel(panel, _LEFT + number * (_WIDTH + _GAP))
    lines += [
        f'<text class="here" x="{width / 2:g}" y="{height - 14}">'
        "Minutes from the new tasks' start. Tinted: the old tasks still run, so undoing is a change of weights.</text>",
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def _panel(panel: Panel, left: float) -> list[str]:
    def x(minute: float) -> float:
        return left + _WIDTH * minute / _MINUTES[-1]

    def y(percent: float) -> float:
        return _TOP + _HEIGHT * (1 - percent / 100)

    path = f"M{x(0):g} {y(0):g}"
    for minute, percent in panel.steps:
        path += f"H{x(minute):g}V{y(percent):g}"
    first = next(minute for minute, percent in panel.steps if percent)
    tinted = x(panel.both_until) - x(first)
    return [
        f'<rect class="undo" x="{x(first):g}" y="{_TOP}" width="{tinted:g}" height="{_HEIGHT}"/>',
        f'<rect class="group" x="{left}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}"/>',
        f'<path class="share" d="{path}H{x(_MINUTES[-1]):g}"/>',
        f'<text class="title" x="{left + _WIDTH / 2:g}" y="{_TOP - 12}">{html.escape(panel.title)}</text>',
        *(f'<text x="{x(minute):g}" y="{_TOP + _HEIGHT + 20}">{minute}</text>' for minute in _MINUTES),
    ]

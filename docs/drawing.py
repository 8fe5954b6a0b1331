"""Draw boxes, groups and arrows on a grid as an SVG picture that is readable on light and dark paper."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: In the picture's units: from one box's centre to the next one's, a box, the margin, a line of text.
_STEP_X, _STEP_Y = 250, 108
_WIDTH, _HEIGHT = 172, 62
_MARGIN, _LINE = 12, 17
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; text-anchor: middle; fill: #1f2328 }
.title { font-weight: 600 } .here { font-style: italic; fill: #59636e }
.label { stroke: #fff; stroke-width: 5px; paint-order: stroke }
.paper { fill: #fff } .box { fill: #f6f8fa; stroke: #818b98 } .strong { fill: #ddf4ff; stroke: #0969da }
.group { fill: none; stroke: #818b98; stroke-dasharray: 5 4 }
.arrow { stroke: #59636e; fill: none } .head { fill: #59636e }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .here { fill: #9198a1 } .label { stroke: #0d1117 }
  .paper { fill: #0d1117 } .box { fill: #151b23; stroke: #656c76 } .strong { fill: #10233d; stroke: #4493f8 }
  .group { stroke: #656c76 } .arrow { stroke: #9198a1 } .head { fill: #9198a1 }
}
"""


@dataclass(frozen=True)
class Area:
    """A rectangle by its centre and size."""

    x: float
    y: float
    width: float
    height: float

    def border(self, other: Area) -> tuple[float, float]:
        """Return where the line to the other one's centre leaves this one."""
        dx, dy = other.x - self.x, other.y - self.y
        reach = min(self.width / 2 / abs(dx) if dx else 9e9, self.height / 2 / abs(dy) if dy else 9e9)
        return self.x + dx * reach, self.y + dy * reach

    def rectangle(self, kind: str) -> str:
        left, top = self.x - self.width / 2, self.y - self.height / 2
        return f'<rect class="{kind}" x="{left:g}" y="{top:g}" width="{self.width:g}" height="{self.height:g}" rx="6"/>'


def svg(source: Mapping[str, Any]) -> str:
    """Return the picture of a source as ``docs/architecture.yml``."""
    boxes = {name: _cell(*box["at"]) for name, box in source["boxes"].items()}
    groups = {name: _around(_cell(*group["from"]), _cell(*group["to"])) for name, group in source["groups"].items()}
    width = max(area.x + area.width / 2 for area in [*boxes.values(), *groups.values()]) + _MARGIN
    height = max(area.y + area.height / 2 for area in [*boxes.values(), *groups.values()]) + _MARGIN
    here = ", ".join(f"{box['text'][0]}: {box['here']}" for box in source["boxes"].values() if "here" in box)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height + 2 * _LINE:g}" role="img" '
        f'aria-label="{html.escape(source["title"])}">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
        '<rect class="paper" width="100%" height="100%" rx="8"/>',
    ]
    for name, area in groups.items():
        lines += [area.rectangle("group"), *_group_text(area, source["groups"][name]["text"])]
    arrows = [_arrow(arrow, boxes, groups) for arrow in source["arrows"]]
    lines += [line for line, _ in arrows]
    for name, area in boxes.items():
        box = source["boxes"][name]
        lines += [area.rectangle("strong" if box.get("strong") else "box"), *_box_text(area, box["text"])]
    lines += [label for _, label in arrows if label]
    lines.append(_text(width / 2, height + _LINE, f"On this machine, instead of AWS: {here}", "here"))
    return "\n".join([*lines, "</svg>", ""])


def _cell(column: int, row: int) -> Area:
    return Area(_MARGIN + _WIDTH / 2 + column * _STEP_X, _MARGIN + _HEIGHT / 2 + row * _STEP_Y, _WIDTH, _HEIGHT)


def _around(first: Area, last: Area) -> Area:
    """Return the area of a group, with room for its title below its boxes."""
    room = 14
    return Area(
        (first.x + last.x) / 2,
        (first.y + last.y) / 2,
        last.x - first.x + _WIDTH + 2 * room,
        last.y - first.y + _HEIGHT + 2 * room,
    )


def _box_text(area: Area, lines: list[str]) -> Iterator[str]:
    first = area.y - (len(lines) - 1) * _LINE / 2 + 4
    for number, line in enumerate(lines):
        yield _text(area.x, first + number * _LINE, line, "" if number else "title")


def _group_text(area: Area, text: str) -> Iterator[str]:
    yield _text(area.x - area.width / 2 + 90, area.y + area.height / 2 - 10, text, "here")


def _arrow(arrow: Mapping[str, str], boxes: Mapping[str, Area], groups: Mapping[str, Area]) -> tuple[str, str]:
    """Return an arrow and its label. An arrow to a group goes straight down to its border."""
    start = boxes[arrow["from"]]
    if arrow["to"] in groups:
        group = groups[arrow["to"]]
        x, y = start.x, start.y + start.height / 2
        to_x, to_y = start.x, group.y - group.height / 2
    else:
        end = boxes[arrow["to"]]
        (x, y), (to_x, to_y) = start.border(end), end.border(start)
    line = f'<path class="arrow" marker-end="url(#head)" d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"/>'
    text = arrow.get("text", "")
    return line, _text((x + to_x) / 2, (y + to_y) / 2 + 4, text, "label") if text else ""


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{html.escape(text, quote=False)}</text>'

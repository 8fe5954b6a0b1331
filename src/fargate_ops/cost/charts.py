"""The page's charts as inline SVG by pygal, in black, white and grey, for print and colour-blind readers.

They load and run nothing: pygal's script and the fonts of its style sheet are removed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree

import pygal
from pygal.style import Style

from fargate_ops.cost.recommendations import Recommendation
from fargate_ops.cost.spending import Month, Rise, Spending

# pygal's import finder for its maps, unused here, has an interface that Python 3.11 warns about and 3.12 ignores.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_SVG = "{http://www.w3.org/2000/svg}"
_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="#111",
    foreground_strong="#000",
    foreground_subtle="#555",
    # Light: before; dark: now.
    colors=("#bbb", "#222"),
    opacity="1",
    opacity_hover="1",
    transition="0s",
    font_family="system-ui, sans-serif",
    label_font_size=13,
    major_label_font_size=13,
    legend_font_size=15,
    title_font_size=15,
    no_data_font_size=15,
)
_NAME_CHARACTERS = 28


def daily(account: Spending, month: Month) -> str:
    """Draw each day of this month so far beside the same day of last month."""
    chart = _chart(pygal.Bar, f"{account.account}-daily", x_label_rotation=0, show_minor_x_labels=False)
    days = range(month.elapsed)
    chart.x_labels = [str(number + 1) for number in days]
    chart.x_labels_major = [str(number + 1) for number in days if number % 5 == 0]
    before = [month.before + timedelta(days=number) for number in days]
    chart.add("last month", [_of(account.daily.get(day)) if day < month.start else None for day in before])
    chart.add("this month", [_of(account.daily.get(month.start + timedelta(days=number))) for number in days])
    return _svg(chart)


def services(account: Spending) -> str:
    """Draw the services that rose: the same days of last month, and now."""
    return _compared(f"{account.account}-services", account.services)


def _compared(name: str, items: Sequence[Rise]) -> str:
    chart = _chart(pygal.HorizontalBar, name, height=120 + 60 * max(len(items), 1))
    items = list(reversed(items))  # pygal draws from the bottom
    chart.x_labels = [_short(item.name) for item in items]
    chart.add("same days of last month", [_of(item.before) for item in items])
    chart.add("this month", [_of(item.now) for item in items])
    return _svg(chart)


def savings(recommendations: Sequence[Recommendation]) -> str:
    """Draw the counted savings by kind of recommendation."""
    kinds: dict[str, Decimal] = {}
    for item in recommendations:
        if item.counted and item.saving:
            kinds[item.kind] = kinds.get(item.kind, Decimal(0)) + item.saving
    shown = sorted(kinds.items(), key=lambda item: (item[1], item[0]))
    chart = _chart(pygal.HorizontalBar, "savings", height=90 + 34 * max(len(shown), 1), show_legend=False)
    chart.x_labels = [kind for kind, _ in shown]
    chart.add("USD a month", [None] * len(shown))  # the light colour
    chart.add("USD a month", [_of(amount) for _, amount in shown])
    return _svg(chart)


def _chart(kind: Any, name: str, **settings: Any) -> Any:
    chart = kind(
        **{
            "style": _STYLE,
            "js": [],
            "width": 640,
            "height": 320,
            "legend_at_bottom": True,
            "explicit_size": False,
            "margin": 8,
            "spacing": 6,
            "value_formatter": lambda value: f"{value:,.0f}",
            "truncate_label": -1,
            "truncate_legend": -1,
            "no_data_text": "nothing",
            **settings,
        }
    )
    chart.uuid = f"chart-{name}"  # the same report gives the same page
    return chart


def _svg(chart: Any) -> str:
    tree = chart.render_tree()
    for parent in list(tree.iter()):
        for child in list(parent):
            # A comment's tag is a function. pygal's comments contain URLs.
            if not isinstance(child.tag, str) or child.tag in (f"{_SVG}script", "script"):
                parent.remove(child)
    tree.set("role", "img")
    ElementTree.register_namespace("", _SVG.strip("{}"))
    return str(ElementTree.tostring(tree, encoding="unicode"))


def _of(amount: Decimal | None) -> float | None:
    """Return the amount as a float, exact enough for a chart; the tables have the exact numbers."""
    return None if amount is None else float(amount)


def _short(name: str) -> str:
    name = name.removeprefix("Amazon ").removeprefix("AWS ")
    return name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…"

"""Runs in alternation, medians, ratios; the table on the screen and the JSON beside it."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

HEADINGS = ("benchmark", "way", "median", "all runs", "ratio", "accepted")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way of doing one thing. `ratio` is this way's median over the floor's, from the same alternation."""

    benchmark: str
    way: str
    unit: str
    runs: Sequence[float]
    ratio: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    @property
    def accepted(self) -> bool:
        """Whether the ratio keeps its bound. There is none on an absolute number: the machine would decide."""
        if self.ratio is None:
            return True
        return (self.at_least is None or self.ratio >= self.at_least) and (
            self.at_most is None or self.ratio <= self.at_most
        )

    @property
    def bound(self) -> str:
        bounds = [f"≥ {self.at_least}"] if self.at_least is not None else []
        return " ".join(bounds + ([f"≤ {self.at_most}"] if self.at_most is not None else []))

    def cells(self) -> tuple[str, ...]:
        """The row as the table shows it, in the order of HEADINGS."""
        verdict = f"{self.bound} {'yes' if self.accepted else 'NO'}" if self.bound else ""
        return (
            self.benchmark,
            self.way,
            f"{number(self.median)} {self.unit}",
            " ".join(number(run) for run in self.runs),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            verdict,
        )


def alternate(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure each way once a round, so that what else the machine does hits all of them alike."""
    runs: dict[str, list[float]] = {way: [] for way in ways}
    for index in range(rounds):
        for way, measure in ways.items():
            runs[way].append(measure())
            print(f"  round {index + 1} of {rounds}: {way}: {number(runs[way][-1])}", flush=True)
    return runs


def ratio(runs: Mapping[str, Sequence[float]], way: str, floor: str) -> float:
    """The median of one way over the floor's."""
    return statistics.median(runs[way]) / statistics.median(runs[floor])


def number(value: float) -> str:
    """Three significant digits, with a thousands separator."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table that is also readable on a screen."""
    cells = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def machine() -> dict[str, str | int]:
    """What the numbers were measured on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    memory_kib = int(Path("/proc/meminfo").read_text(encoding="utf-8").split()[1])
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(memory_kib / 2**20),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def write(rows: Sequence[Row], folder: Path) -> Path:
    """Write the rows, with all runs, as one JSON document; its path."""
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y%m%d-%H%M%S}.json"
    document = {
        "at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "machine": machine(),
        "rows": [asdict(row) | {"median": row.median, "accepted": row.accepted} for row in rows],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path

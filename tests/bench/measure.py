"""Alternating runs, medians and ratios, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HEADINGS = ("benchmark", "variant", "median", "all runs", "ratio", "accepted")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant of a benchmark. `ratio` is its median divided by the floor's, from the same alternating runs."""

    benchmark: str
    variant: str
    unit: str
    runs: Sequence[float]
    ratio: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def within(self, leeway: float = 0) -> bool:
        """Return whether the ratio misses its bound by at most `leeway`, a share of the bound."""
        if self.ratio is None:
            return True
        return (self.at_least is None or self.ratio >= self.at_least * (1 - leeway)) and (
            self.at_most is None or self.ratio <= self.at_most * (1 + leeway)
        )

    @property
    def accepted(self) -> bool:
        """Return whether the ratio is within its bound."""
        return self.within()

    def miss(self) -> str:
        """Describe a ratio that misses its bound."""
        return f"{self.benchmark}: {self.variant}: {self.ratio:.2f}, not {self.bound}"

    @property
    def bound(self) -> str:
        bounds = [f"≥ {self.at_least}"] if self.at_least is not None else []
        return " ".join(bounds + ([f"≤ {self.at_most}"] if self.at_most is not None else []))

    def cells(self) -> tuple[str, ...]:
        """Return the row's cells in the order of HEADINGS."""
        verdict = f"{self.bound} {'yes' if self.accepted else 'NO'}" if self.bound else ""
        return (
            self.benchmark,
            self.variant,
            f"{number(self.median)} {self.unit}",
            " ".join(number(run) for run in self.runs),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            verdict,
        )


def alternate(variants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure each variant once a round, so that other work on the machine affects all of them alike."""
    runs: dict[str, list[float]] = {variant: [] for variant in variants}
    for index in range(rounds):
        for variant, measure in variants.items():
            runs[variant].append(measure())
            print(f"  round {index + 1} of {rounds}: {variant}: {number(runs[variant][-1])}", flush=True)
    return runs


def ratio(runs: Mapping[str, Sequence[float]], variant: str, floor: str) -> float:
    """Return the variant's median divided by the floor's."""
    return statistics.median(runs[variant]) / statistics.median(runs[floor])


def number(value: float) -> str:
    """Format with three significant digits and a thousands separator."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, aligned for the screen."""
    cells = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def machine() -> dict[str, str | int]:
    """Describe the machine of the measurement."""
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


def document(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the rows with all runs, and the machine and time of the measurement, for a JSON document."""
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "machine": machine(),
        "rows": [asdict(row) for row in rows],
    }


def write(rows: Sequence[Row], folder: Path) -> Path:
    """Write the rows with all runs as one JSON document and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps(document(rows), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path

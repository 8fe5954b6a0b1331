"""The tables of docs/performance.md, from the runs of `make bench PAGE=1` in docs/performance.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.bench.measure import HEADINGS, Row

DATA = Path("docs/performance.json")


def store(root: Path, runs: Mapping[str, Any]) -> None:
    """Replace the runs of these benchmarks."""
    file = root / DATA
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps(known | dict(runs), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def document(root: Path, table: Callable[[tuple[str, ...], Iterable[tuple[str, ...]]], str]) -> str:
    """Return a table for each benchmark, and where it was measured."""
    runs: dict[str, Any] = json.loads((root / DATA).read_text(encoding="utf-8"))
    return "\n\n".join(
        f"`make bench ONLY={name}`, {run['at'][:10]}, {_machine(**run['machine'])}:\n\n"
        + table(HEADINGS, (Row(**row).cells() for row in run["rows"]))
        for name, run in runs.items()
    )


def _machine(processor: str, cores: int, memory_gib: int, system: str, python: str) -> str:
    return f"{cores} cores of {processor}, {memory_gib} GiB, {system}, Python {python}"

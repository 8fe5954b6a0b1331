"""``make bench``: run the benchmarks, print one table, write it as JSON to .local/bench/.

With ``PAGE=1``, also write the tables of docs/performance.md, of the benchmarks that ran.
Exits with 1 if a ratio misses its bound. Only ratios have bounds: seconds and requests depend on the machine.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from docs import performance, tables
from tests.bench.cloud import shared_cloud
from tests.bench.load import BenchError
from tests.bench.measure import Row, document, machine, table, write

REPOSITORY = Path(__file__).parents[2]
#: Name -> module and function.
BENCHMARKS = {
    "app": ("application", "run"),
    "overload": ("overload", "run"),
    "waiting": ("waiting", "run"),
    "deploy": ("flows", "deploys"),
    "balancer": ("flows", "load_balancer"),
    "release": ("flows", "releases"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("only", nargs="*", help=f"benchmarks to run: {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each variant, alternating (5)")
    parser.add_argument("--page", action="store_true", help="write the tables of docs/performance.md")
    arguments = parser.parse_args()
    if unknown := set(arguments.only) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}. Known: {', '.join(BENCHMARKS)}")
    # A separate local cloud, not the developer's or a concurrent test's.
    os.environ.setdefault("PYTEST_XDIST_WORKER", "gw7")
    # The stubbed clients sign requests with these.
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")

    measured: dict[str, list[Row]] = {}
    failures = []
    with ExitStack() as stack:
        for name in arguments.only or BENCHMARKS:
            print(f"{name}:", flush=True)
            module, function = BENCHMARKS[name]
            try:
                run = getattr(importlib.import_module(f"tests.bench.{module}"), function)
                measured[name] = run(arguments.rounds, partial(shared_cloud, stack))
            except BenchError as error:
                failures.append(f"{name}: {error}")
    rows = [row for found in measured.values() for row in found]
    if rows:
        print(f"\n{table(rows)}\n\n{', '.join(f'{key} {value}' for key, value in machine().items())}")
        print(write(rows, REPOSITORY / ".local/bench"))
    if arguments.page:
        performance.store(REPOSITORY, {name: document(found) for name, found in measured.items()})
        tables.main([])
    failures += [row.miss() for row in rows if not row.accepted]
    for failure in failures:
        print(f"bench: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

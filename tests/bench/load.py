"""Load from wrk (https://github.com/wg/wrk), which uses little CPU itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_cloud.host import engine
from local_cloud.host.errors import LocalCloudError

_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class BenchError(Exception):
    """A benchmark cannot run, or its result is meaningless; the message says why and what to do."""


class MachineTooBusy(BenchError):
    """Other work leaves too little of the machine: the result would be the machine's."""


@dataclass(frozen=True)
class Load:
    """The result of one run of wrk. Latencies in milliseconds."""

    requests: int
    requests_per_second: float
    p50: float
    p99: float


def ensure_wrk() -> None:
    """Make sure that wrk is on PATH: install it from the distribution if possible. Raises BenchError otherwise."""
    if shutil.which("wrk"):
        return
    try:
        engine.install_packages(["wrk"], print)
    except LocalCloudError as error:
        raise BenchError(f"wrk, the load generator, is not on PATH. {error}") from error


def run_wrk(
    address: str,
    paths: Sequence[str],
    folder: Path,
    *,
    connections: int,
    seconds: float,
    headers: Mapping[str, str] | None = None,
) -> Load:
    """Request the paths in turn over keep-alive connections.

    Raises BenchError if any answer was not 2xx or a connection failed: the rate would be meaningless.
    """
    script = folder / "paths.lua"
    listed = ", ".join(f'wrk.format("GET", "{path}")' for path in paths)
    script.write_text(
        "local requests\nlocal next_one = 0\n"
        f"function init(arguments) requests = {{{listed}}} end\n"
        "function request() next_one = next_one % #requests + 1; return requests[next_one] end\n",
        encoding="utf-8",
    )
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds:.0f}s"]
    for name, value in (headers or {}).items():
        command += ["--header", f"{name}: {value}"]
    command += ["--latency", "--script", str(script), address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return parse(done.stdout + done.stderr)


def parse(output: str) -> Load:
    """Parse wrk's report. Raises BenchError if requests failed."""
    if failed := re.search(r"(Non-2xx.*|Socket errors.*|unable to connect.*)", output):
        raise BenchError(f"requests failed under load: {failed[1]}")
    requests = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    latencies = {
        share: _milliseconds(*found) for share, *found in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s|m)\b", output)
    }
    if requests is None or rate is None or len(latencies) != 2:
        raise BenchError(f"unexpected output of wrk:\n{output}")
    return Load(int(requests[1]), float(rate[1]), latencies["50"], latencies["99"])


def _milliseconds(value: str, unit: str) -> float:
    return float(value) * _MILLISECONDS[unit]

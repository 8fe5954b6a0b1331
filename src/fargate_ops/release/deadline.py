"""The running time of the whole command: its waits share one limit, so that time is left to undo a failure.

A GitHub job and the credentials of a role end at a fixed time, whatever the command is doing:
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idtimeout-minutes
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

from __future__ import annotations

import os
from pathlib import Path

#: The least time in seconds for undoing a failure. No change begins with less time left.
LEAST_SECONDS = 60.0


def running_for(pid: int, proc: Path = Path("/proc")) -> float:
    """Return the seconds since a process began, by proc(5) stat, field 22, in ticks since boot; 0 without /proc."""
    try:
        after_name = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        up = float((proc / "uptime").read_text().split()[0])
    except OSError:
        return 0.0
    return max(0.0, up - int(after_name[19]) / os.sysconf("SC_CLK_TCK"))

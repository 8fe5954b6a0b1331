"""How long the whole command has run: its waits share one limit, so that what undoes a failure still has its time.

A job of GitHub and the credentials of a role end at a fixed moment, whatever is waited for then:
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idtimeout-minutes
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

from __future__ import annotations

import os
from pathlib import Path

#: A wait that is to undo something has this much time in any case, in seconds; no change begins that has less.
LEAST_SECONDS = 60.0


def running_for(pid: int, proc: Path = Path("/proc")) -> float:
    """Seconds since a process began: field 22 of proc(5) stat, in ticks since boot. 0 where the system does not say."""
    try:
        after_name = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
        up = float((proc / "uptime").read_text().split()[0])
    except OSError:
        return 0.0
    return max(0.0, up - int(after_name[19]) / os.sysconf("SC_CLK_TCK"))

"""What the suite needs of a fresh machine: a running container engine, mmdebstrap, and a PostgreSQL to test against.

Run by tests/run.sh. Uses what is there; on a Debian-like machine, as root, it installs the rest from the distribution.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from roles.local_cloud.python import engine
from roles.local_cloud.python.errors import CommandError, LocalCloudError


def missing_packages() -> list[str]:
    """Debian's names of the programs that the tests call and that are not here."""
    wanted = [] if shutil.which("mmdebstrap") else ["mmdebstrap"]
    has_postgres = shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not has_postgres and "TEST_DATABASE_URL" not in os.environ:
        wanted.append("postgresql")
    return wanted


def main() -> int:
    host = engine.observe()
    try:
        decision = engine.decide(host, engine.probe())
        if decision is engine.Decision.INSTALL:
            engine.install_packages(engine.engine_packages(), print)
        if packages := missing_packages():
            engine.install_packages(packages, print)
        if engine.probe() is not engine.Reachable.YES:
            engine.start(host, print)
    except (LocalCloudError, CommandError) as error:
        print(f"The tests cannot run on this machine: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

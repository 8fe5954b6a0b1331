"""Prepare a fresh machine for the suite: a container engine and its images, jq, PostgreSQL, a browser.

tests/run.sh runs this. On a Debian-like machine it installs missing programs from the distribution, as root or with a
sudo that needs no password.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from local_cloud.host import engine
from local_cloud.host.errors import LocalCloudError
from tests.support import images

FOLDER = Path(__file__).parents[1] / ".local" / "tests"
"""Belongs to no environment. An engine that the suite starts keeps running: tests of other checkouts may use it."""

BROWSERS = ("chromium-headless-shell", "chromium", "chrome", "google-chrome")


def missing_packages() -> list[str]:
    """Return the Debian packages of programs that the tests call and that are not installed."""
    wanted = [] if shutil.which("jq") else ["jq"]
    has_postgres = shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not has_postgres and "TEST_DATABASE_URL" not in os.environ:
        wanted.append("postgresql")
    return wanted


def install_browser() -> None:
    """Install a browser for the tests of pages. If that is impossible, those tests are skipped."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    try:
        engine.install_packages(["chromium-headless-shell", "fonts-dejavu-core"], print)
    except LocalCloudError as error:
        print(f"No browser, so the tests of pages will be skipped: {error}", file=sys.stderr)


def main() -> int:
    host = engine.observe()
    try:
        decision = engine.decide(host, engine.probe())
        if packages := missing_packages():  # first: the unit tests, which run meanwhile, need jq
            engine.install_packages(packages, print)
        if decision is engine.Decision.INSTALL:
            engine.install(print)
        install_browser()
        if engine.probe() is not engine.Reachable.YES:
            engine.Daemon(FOLDER).start(host, print)
        with tempfile.TemporaryDirectory() as scratch:
            images.prepare(Path(scratch))
    except LocalCloudError as error:
        print(f"The tests cannot run on this machine: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

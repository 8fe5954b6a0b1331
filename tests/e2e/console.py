"""The console of a clone, watched in a browser while the clone's commands run."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import Clone
from tests.support.browser import PICTURES, Browser, browser, chromium

_SECONDS = 120


@dataclass
class Watch:
    """The open page. Without a browser it is never looked at."""

    tab: Browser | None

    def wait(self, selector: str, *words: str) -> None:
        """Wait until the element's text has all these words."""
        if self.tab:
            has = " && ".join(f"text.includes({word!r})" for word in words)
            self.tab.wait(f"(text => {has})(document.querySelector({selector!r})?.textContent ?? '')", _SECONDS)

    @contextmanager
    def sees(self, picture: str, selector: str, *words: str) -> Iterator[None]:
        """Fail unless the element shows these words while the body runs, or soon after; keep a picture of the page."""

        def look() -> None:
            self.wait(selector, *words)
            if self.tab:
                self.tab.screenshot(PICTURES / f"{picture}.png")

        with ThreadPoolExecutor(1) as watcher:
            seen = watcher.submit(look)
            yield
            seen.result()


@contextmanager
def watched(clone: Clone, profile: Path) -> Iterator[Watch]:
    """Open the page of ``make console``. At the end, fail if it complained or asked another server for something."""
    if chromium() is None:
        yield Watch(None)
        return
    with browser(profile) as tab, served(clone) as address:
        tab.size(1280, 900)
        tab.open(address)
        yield Watch(tab)
        assert tab.complaints == []
        assert [request for request in tab.requests if not request.startswith(f"{address}/")] == []


@contextmanager
def served(clone: Clone) -> Iterator[str]:
    """Run ``make console``; yield the address that it prints."""
    with subprocess.Popen(
        clone.command("console"),
        cwd=clone.path,
        env=clone.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            printed = []
            for line in process.stdout or ():
                printed.append(line)
                if found := re.search(r"(http://127\.0\.0\.1:\d+)  \(read-only", line):
                    yield found[1]
                    return
            raise AssertionError("".join(printed))
        finally:
            process.terminate()

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
from tests.support.browser import PICTURES, Browser, browser

_SECONDS = 120


@dataclass
class Watch:
    """The open page."""

    tab: Browser

    def wait(self, selector: str, *words: str) -> None:
        """Wait until the element's text has all these words."""
        has = " && ".join(f"text.includes({word!r})" for word in words)
        self.tab.wait(f"(text => {has})(document.querySelector({selector!r})?.textContent ?? '')", _SECONDS)

    @contextmanager
    def sees(self, picture: str, selector: str, *words: str) -> Iterator[None]:
        """Fail unless the element shows these words while the body runs; keep a picture of the page then."""

        def look() -> None:
            self.wait(selector, *words)
            self.tab.screenshot(PICTURES / f"{picture}.png")

        with ThreadPoolExecutor(1) as watcher:
            seen = watcher.submit(look)
            yield
            seen.result()


@contextmanager
def watched(clone: Clone, profile: Path) -> Iterator[Watch]:
    """Open the page of ``make console``. At the end, fail if it complained or asked another server for something."""
    with (
        subprocess.Popen(
            clone.command("console"),
            cwd=clone.path,
            env=clone.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
        browser(profile) as tab,
    ):
        try:
            assert process.stdout
            printed = iter(process.stdout)
            lines = []
            for line in printed:
                lines.append(line)
                if found := re.search(r"http://127\.0\.0\.1:\d+(?=\s+\(read-only)", line):
                    break
            else:
                raise AssertionError("".join(lines))
            tab.size(1280, 900)
            tab.open(found[0])
            yield Watch(tab)
            assert tab.complaints == []
            assert {address for address in tab.requests if not address.startswith(f"{found[0]}/")} == set()
        finally:
            process.terminate()

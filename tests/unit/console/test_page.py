"""The console's page in a real browser, in front of the real server with documents that the tests set."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.console.server import STATIC
from tests.support import console
from tests.support.browser import PICTURES, Browser, browser
from tests.support.console import Feed, served
from tests.support.ports import free_port


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def show(tab: Browser) -> Iterator[Callable[[dict[str, Any]], Feed]]:
    """Open the page with a document; fail if it complained or asked another server for something."""
    feed = Feed({})
    tab.requests.clear()
    tab.complaints.clear()
    tab.prefer()
    tab.size(1280, 900)

    with served(feed) as address:

        def opened(document: dict[str, Any]) -> Feed:
            feed.set(document)
            tab.open(address)
            tab.wait("document.querySelector('#connection').innerText.includes('live')")
            return feed

        yield opened
        assert tab.complaints == []
        assert {request for request in tab.requests if not request.startswith(address)} == set()
        tab.open("about:blank")


SIZES = ((390, "light"), (1280, "dark"))
Show = Callable[[dict[str, Any]], Feed]


def text(tab: Browser, selector: str) -> str:
    return re.sub(r"\s+", " ", tab.evaluate(f"document.querySelector('{selector}').innerText"))


def wait_for(tab: Browser, selector: str, words: str) -> None:
    tab.wait(f"document.querySelector('{selector}')?.innerText.includes({json.dumps(words)})")


@pytest.mark.parametrize("document", [console.quiet, console.rolling, console.failing, console.nothing_deployed])
def test_it_is_readable_in_each_state_and_width(
    document: Callable[[], dict[str, Any]], show: Show, tab: Browser
) -> None:
    show(document())
    tab.evaluate("document.querySelectorAll('#alarms details').forEach(details => details.open = true)")
    for width, scheme in SIZES:
        tab.size(width, 900)
        tab.prefer(prefers_color_scheme=scheme)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
        tab.screenshot(PICTURES / f"{document.__name__}-{width}.png")
    assert tab.evaluate("[...document.querySelectorAll('h2')].map(heading => heading.innerText)") == [
        "Serving",
        "Rollout",
        "Traffic",
        "Alarms",
        "Releases",
        "Lock",
    ]
    # In black and white, too: a word stands beside each shape.
    assert tab.evaluate("[...document.querySelectorAll('.mark')].every(mark => mark.parentNode.textContent.trim())")


def test_axe_finds_nothing_serious(show: Show, tab: Browser) -> None:
    document = console.failing()
    document["sections"]["ledger"]["error"] = console.error("AWS refused GetObject", "make status ENV=local")
    show(document)
    tab.evaluate("document.querySelectorAll('#alarms details, [data-key=errors] details').forEach(d => d.open = true)")
    spec = find_spec("axe_playwright_python")
    assert spec
    assert spec.origin
    tab.evaluate(Path(spec.origin).with_name("axe.min.js").read_text())
    for width, scheme in SIZES:
        tab.size(width, 900)
        tab.prefer(prefers_color_scheme=scheme)
        found = tab.evaluate("axe.run({resultTypes: ['violations']}).then(({violations}) => violations)")
        assert [rule for rule in found if rule["impact"] in ("serious", "critical")] == []


def test_it_says_what_serves_since_when_and_the_release_history(show: Show, tab: Browser) -> None:
    show(console.quiet())
    assert "fedcba987654+91be serves since" in text(tab, "#serving")
    assert "for 2 h 5 min; release by ann@laptop" in text(tab, "#serving")
    assert "3 healthy of 3 tasks" in text(tab, "#serving")
    assert "No rollout. The last one: successful" in text(tab, "#rollout")
    rows = tab.evaluate("[...document.querySelectorAll('#ledger tbody tr')].map(row => row.innerText)")
    assert [" ".join(re.sub(r"^[\d: -]+", "", row).split()) for row in rows] == [
        "succeeded fedcba987654+91be · settlement-local:4 · PRIMARY 20 s ann@laptop",
        "failed 333333333333+77aa · settlement-local:3 61 s ann@laptop a task stopped: exit code 1",
        "rolled back 222222222222+77aa · settlement-local:2 19 s ann@laptop",
    ]
    assert "free: a deployment can start" in text(tab, "#lock")


def test_a_rollout_is_shown_live(show: Show, tab: Browser) -> None:
    feed = show(console.quiet())
    feed.set(console.rolling())
    wait_for(tab, "#rollout", "in progress")
    new, old = text(tab, ".side.new"), text(tab, ".side.old")
    assert [len(re.findall(word, new)) for word in ("healthy", "being checked", "starting")] == [1, 1, 1]
    assert [len(re.findall(word, old)) for word in ("healthy", "draining")] == [2, 1]
    assert "fedcba987654+91be → 0123456789ab+3f2a is being released by ann@laptop" in text(tab, "#serving")
    assert "registered 1 targets in target group settlement-local-api (3 times)" in text(tab, "#rollout .events")
    assert "held: release, by ann@laptop" in text(tab, "#lock")
    assert "rolling out" in tab.evaluate("document.title")
    feed.set(console.failing())
    wait_for(tab, "#rollout", "ECS is rolling back")
    assert "3 tasks failed" in text(tab, ".side.old")
    assert text(tab, ".side.old h3") == "Failed: 0123456789ab+3f2a"
    assert text(tab, ".side.new h3") == "Restored: fedcba987654+91be"
    assert "fedcba987654+91be is being put back" in text(tab, "#serving")
    # A screen reader hears what changed, and nothing that counts seconds is announced.
    assert "settlement-local-database-connections is in ALARM" in tab.evaluate(
        "document.getElementById('news').textContent"
    )
    assert tab.evaluate("document.querySelectorAll('[aria-live] [data-since], [role=status] [data-since]').length") == 0


def test_the_command_of_an_alarm_is_copied_by_keyboard_and_keeps_the_focus(show: Show, tab: Browser) -> None:
    feed = show(console.failing())
    tab.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    tab.call("Page.bringToFront")
    tab.evaluate("document.activeElement.blur()")
    for _ in range(20):
        tab.press("Tab")
        if tab.evaluate("document.activeElement.dataset.copy"):
            break
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is visible"
    tab.press("Enter", text="\r")
    tab.wait("document.activeElement.innerText == 'Copied'")
    assert tab.evaluate("navigator.clipboard.readText()") == "make incident-db"
    changed = console.failing()
    changed["sections"]["alarms"]["value"]["alarms"][0]["meaning"] = "Still too many."
    feed.set(changed)
    wait_for(tab, "#alarms", "Still too many.")
    assert tab.evaluate("document.activeElement.dataset.copy") == "make incident-db"


def test_no_data_is_said_and_not_drawn_as_zero(show: Show, tab: Browser) -> None:
    document = console.quiet()
    traffic = document["sections"]["traffic"]["value"]
    for name in ("p50", "p99"):
        traffic["series"][name] = [None] * len(traffic["times"])
        traffic["no_data"][name] = "no data in the last 6 hours"
    show(document)
    assert "No data in the last 6 hours: nothing is drawn." in text(tab, "[data-key=latency]")
    assert tab.evaluate("document.querySelector('[data-key=latency] canvas')") is None
    assert "No data in 49 of 360 minutes." in text(tab, "[data-key=requests] figcaption")
    coloured = tab.wait(COLOURED)
    assert sum(coloured[:95]) > 85, "marks of releases may cover the line"
    assert not any(coloured[102:124])
    assert any(coloured[124:127]), "a minute between two gaps is a point"
    assert not any(coloured[128:148])
    # The table says the same.
    tab.evaluate("document.querySelector('[data-key=requests] summary').click()")
    wait_for(tab, "[data-key=requests] table", "333333333333+77aa, release failed")
    assert "no data" in text(tab, "[data-key=requests] table")


#: For each minute of the chart of requests: whether the line's colour is in its column.
COLOURED = """(() => {
  const canvas = document.querySelector('[data-key=requests] canvas');
  const over = document.querySelector('[data-key=requests] .u-over');
  if (!over?.clientWidth) return null;
  const [left, width] = [over.offsetLeft, over.clientWidth];
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({length: 360}, (_, minute) => {
    const x = Math.round(left + width * minute / 359);
    for (let at = 4 * x; at < data.length; at += 4 * canvas.width) if (data[at + 2] > data[at] + 60) return true;
    return false;
  });
})()"""


#: The number of dark lines across the chart of connections.
DOTTED = """(() => {
  const canvas = document.querySelector('[data-key=connections] canvas');
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const counts = Array(canvas.height).fill(0);
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] > 200 && data[at + 2] < 60) counts[Math.floor(at / 4 / canvas.width)] += 1;
  }
  return counts.filter(count => count > canvas.width / 5).length;
})()"""


def test_limits_and_thresholds_are_lines_with_their_words(show: Show, tab: Browser) -> None:
    show(console.quiet())
    assert (
        text(tab, "[data-key=connections] .key").split("max_connections 210")[1].strip()
        == "alarm database-connections 168"
    )
    assert "alarm error-rate 5" in text(tab, "[data-key=errors] .key")
    tab.wait(f"{DOTTED} == 2")
    tab.evaluate("document.querySelector('[data-key=connections] summary').click()")
    wait_for(tab, "[data-key=connections] caption", "max_connections: 210; alarm database-connections: 168")


@pytest.mark.parametrize(
    ("states", "shape", "words"),
    [
        (["OK", "OK"], "good", "No alarm is in ALARM"),
        (["OK", "INSUFFICIENT_DATA"], "unknown", "No alarm is in ALARM · 1 not enough data, 1 OK"),
        ([], "unknown", "This environment has no alarms"),
    ],
)
def test_only_alarms_that_are_ok_look_well(show: Show, tab: Browser, states: list[str], shape: str, words: str) -> None:
    document = console.quiet()
    alarms = [console.alarm(str(number), state, "", "") for number, state in enumerate(states)]
    document["sections"]["alarms"]["value"]["alarms"] = alarms
    show(document)
    assert tab.evaluate(f"document.querySelector('#alarms .lead .state').classList.contains('{shape}')")
    assert words in text(tab, "#alarms .lead")


def test_a_reading_that_fails_keeps_its_last_value_and_says_so(show: Show, tab: Browser) -> None:
    feed = show(console.quiet())
    document = console.quiet()
    message = "AWS refused DescribeAlarms: Rate exceeded (Throttling)"
    document["sections"]["alarms"]["error"] = console.error(message, "make status ENV=local")
    feed.set(document)
    wait_for(tab, "#alarms", "Cannot be read since")
    assert "Rate exceeded" in text(tab, "#alarms")
    assert "What follows is from the last good reading." in text(tab, "#alarms")
    assert "2 OK" in text(tab, "#alarms")


def test_old_data_are_called_stale(show: Show, tab: Browser) -> None:
    document = console.quiet()
    document["sections"]["rollout"]["at"] = console.ago(45)
    document["sections"]["serving"]["interval_seconds"] = 600
    show(document)
    assert re.search(r"stale (4[5-9]|[5-9]\d) s ago", text(tab, "#rollout .read"))
    assert "stale" not in text(tab, "#serving .read")


def test_what_is_open_stays_open_and_text_is_never_html(show: Show, tab: Browser) -> None:
    feed = show(console.quiet())
    tab.evaluate("document.querySelector('#alarms details').open = true")
    document = console.quiet()
    document["sections"]["ledger"]["value"]["releases"][0]["why"] = "<img src=x onerror=alert(1)>"
    document["sections"]["alarms"]["value"]["alarms"][0]["state"] = "INSUFFICIENT_DATA"
    document["sections"]["traffic"]["value"]["series"]["requests"][-1] = 777
    feed.set(document)
    wait_for(tab, "#alarms table", "not enough data")
    wait_for(tab, "[data-key=requests] figcaption", "777")
    assert tab.evaluate("document.querySelectorAll('canvas').length") == 4
    assert sum(tab.evaluate(COLOURED)) > 250
    assert tab.evaluate("document.querySelector('#alarms details').open")
    assert "<img src=x onerror=alert(1)>" in text(tab, "#ledger")


def test_nothing_moves_for_those_who_prefer_that(show: Show, tab: Browser) -> None:
    show(console.rolling())
    moving = "document.getAnimations().length"
    assert tab.evaluate(moving) > 0
    tab.prefer(prefers_reduced_motion="reduce")
    assert tab.evaluate(moving) == 0


def test_a_lost_connection_is_said_and_comes_back(tab: Browser) -> None:
    tab.size(1280, 900)
    port = free_port()
    with served(Feed(console.quiet()), port) as address:
        tab.open(address)
        wait_for(tab, "#connection", "live")
    wait_for(tab, "#connection", "connection lost")
    assert "make console ENV=local" in text(tab, "#connection")
    assert "fedcba987654+91be" in text(tab, "#serving"), "the last state stays"
    with served(Feed(console.rolling()), port):
        wait_for(tab, "#connection", "live")
        wait_for(tab, "#rollout", "in progress")
    tab.open("about:blank")


def test_a_closed_page_is_no_viewer(show: Show, tab: Browser) -> None:
    feed = show(console.quiet())
    assert feed.viewers == 1
    tab.open("about:blank")
    deadline = time.monotonic() + 60
    while feed.viewers:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_chart_library_is_the_one_that_its_readme_names() -> None:
    folder = STATIC / "uplot"
    readme = (folder / "README.md").read_text()
    for name in ("uPlot.iife.min.js", "uPlot.min.css", "LICENSE"):
        assert f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" in readme

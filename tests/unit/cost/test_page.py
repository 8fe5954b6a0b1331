"""The page: complete and self-contained; in a real browser, wide and on a phone; without colours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fargate_ops.cost.page import page
from fargate_ops.cost.report import Delivery, Report
from fargate_ops.cost.summary import summary, text
from tests.support.browser import Browser, browser
from tests.unit.cost.conftest import REGION, Cloud


@pytest.fixture
def report(cloud: Cloud) -> Report:
    """Return a report with a gap, and with a tag that would be HTML if it were not escaped."""
    cloud.budget()
    cloud.seed(refused={"GetIdleRecommendations": "AccessDeniedException"})
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "Owner", "Value": "<script>alert(1)</script>"}]}]
    cloud.client("ec2").create_volume(AvailabilityZone=f"{REGION}a", Size=100, VolumeType="gp2", TagSpecifications=tags)
    return cloud.report()


def test_the_page_says_what_the_report_says_and_loads_nothing(report: Report) -> None:
    html = page(report)
    plain = re.sub(r"\s+", " ", html)
    assert report.verdict.sentence in plain
    for said in ("134.01", "+216.09", "360.00 USD", "APN2-Fargate-vCPU-Hours:perCPU", "80.0 %", "▼ fell", "11.40 USD"):
        assert said in plain, said
    assert "GetIdleRecommendations was denied" in plain
    assert "These data are missing from everything below" in plain
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    # The only URLs are XML namespaces, and none is fetched.
    assert set(re.findall(r"https?://[^\s\"'<)]+", html)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert not re.search(r"(?:src|href)=[\"'](?!data:)[^#]", html.replace('xlink:href="#', ""))


def test_the_four_keys_are_on_the_page_on_the_screen_and_in_slack(report: Report) -> None:
    assert "the ledger of releases could not be read" in page(report)
    assert "four keys not known" in re.sub(r" +", " ", text(report, "p"))
    assert "four keys not known" in summary(report, "p").text
    assert report.as_row()["four_keys"] is None
    delivery = Delivery(
        keys={"lead time for changes": "2 h 5 min"},
        meanings={"lead time for changes": "from a commit to its success"},
        row={"lead_time": 7500.0},
        definitions="https://dora.dev/guides/dora-metrics/",
    )
    known = replace(report, delivery=delivery)
    for said in ("2 h 5 min", "from a commit to its success", "https://dora.dev/guides/dora-metrics/"):
        assert said in page(known)
    assert "  lead time for changes  2 h 5 min\n" in text(known, "p")
    assert "lead time for changes 2 h 5 min" in summary(known, "p").text
    assert known.as_row()["four_keys"] == {"lead_time": 7500.0}


def test_the_same_report_is_the_same_page(report: Report) -> None:
    assert page(report) == page(report)


def test_only_black_white_and_grey(report: Report) -> None:
    colours = {
        colour.lower() for colour in re.findall(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?\b(?=[;\s\"}])", page(report))
    }
    assert {colour for colour in colours if len(set(re.findall("..?", colour[1:]))) > 1 and len(colour) == 7} == set()
    assert {colour for colour in colours if len(colour) == 4 and len(set(colour[1:])) > 1} == set()


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / "profile") as opened:
        yield opened


def test_in_a_browser(report: Report, tab: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(page(report), encoding="utf-8")
    for width, name in ((1280, "wide"), (390, "phone")):
        tab.size(width, 844)
        tab.open(file.as_uri())
        assert tab.evaluate("document.getElementById('verdict').textContent") == report.verdict.sentence
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
        drawn = tab.evaluate(
            "[...document.querySelectorAll('figure svg')].map(svg => [svg.getBoundingClientRect().width,"
            " svg.querySelectorAll('rect.rect').length])"
        )
        assert len(drawn) == 3
        assert all(size > width / 2.5 and bars > 0 for size, bars in drawn), drawn
        assert len(tab.screenshot(tmp_path / f"{name}.png")) > 20_000
    assert tab.complaints == []
    assert set(tab.requests) <= {file.as_uri(), "data:,"}

"""A report is printed, written and sent; a preview only prints."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from fargate_ops.core.problem import OperationsError
from fargate_ops.cost import publish as module
from fargate_ops.cost.publish import day, publish
from fargate_ops.notify.slack import Message


class Report:
    def as_row(self) -> dict[str, Any]:
        return {"total": "1.00"}


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the report's page and texts, which have tests of their own."""
    monkeypatch.setattr(module, "page", lambda report: "<html>")
    monkeypatch.setattr(module, "text", lambda report, page: f"the essence, {page}")
    monkeypatch.setattr(module, "summary", lambda report, page: Message(summary="1 USD", text="*1 USD*"))


def published(tmp_path: Path, *, preview: bool) -> tuple[dict[str, Any], list[str], list[Message]]:
    said, sent = list[str](), list[Message]()
    files = str(tmp_path / "cost/report.html"), str(tmp_path / "cost/report.json")
    row = publish(Report(), *files, said.append, sent.append, preview=preview)
    return row, said, sent


def test_both_files_are_written_and_the_summary_is_sent(tmp_path: Path) -> None:
    row, said, sent = published(tmp_path, preview=False)
    assert (tmp_path / "cost/report.html").read_text() == "<html>"
    assert json.loads((tmp_path / "cost/report.json").read_text()) == row == {"total": "1.00"}
    assert said == [f"the essence, {tmp_path}/cost/report.html"]
    assert [message.summary for message in sent] == ["1 USD"]


def test_a_preview_writes_and_sends_nothing(tmp_path: Path) -> None:
    row, said, sent = published(tmp_path, preview=True)
    assert row == {"total": "1.00"}
    assert said[-1].startswith(f"would write {tmp_path}/cost/report.html and ")
    assert said[-1].endswith(", and send to Slack: 1 USD")
    assert not sent
    assert not (tmp_path / "cost").exists()


def test_the_day_is_the_given_one_or_today() -> None:
    assert day("2026-11-24") == date(2026, 11, 24)
    assert day("") == datetime.now(UTC).date()
    with pytest.raises(OperationsError, match=r"^cost_report_today is '24\.11\.', not a day\. Next: the same command"):
        day("24.11.")

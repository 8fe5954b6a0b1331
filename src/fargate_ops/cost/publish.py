"""Publish a cost report: as a page, as a JSON file and to Slack."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from fargate_ops.core.files import write_file
from fargate_ops.core.problem import OperationsError
from fargate_ops.cost.page import page
from fargate_ops.cost.report import Report
from fargate_ops.cost.summary import summary, text
from fargate_ops.notify.slack import Message


def day(text: str) -> date:
    """Return the date of a text such as ``2026-11-24``, or today in UTC if it is empty.

    Raises:
        OperationsError: the text is not a date.
    """
    try:
        return date.fromisoformat(text) if text else datetime.now(UTC).date()
    except ValueError:
        raise OperationsError(
            f"cost_report_today is {text!r}, not a day. Next: the same command with -e cost_report_today=2026-11-24"
        ) from None


def publish(
    report: Report,
    page_file: str,
    json_file: str,
    say: Callable[[str], None],
    send: Callable[[Message], None],
    *,
    preview: bool,
) -> dict[str, Any]:
    """Print the report, write both files, and send the summary; return the JSON's content. A preview only prints."""
    message, row = summary(report, page_file), report.as_row()
    say(text(report, page_file))
    if preview:
        say(f"would write {page_file} and {json_file}, and send to Slack: {message.summary}")
        return row
    write_file(Path(page_file), page(report))
    write_file(Path(json_file), json.dumps(row, indent=2) + "\n")
    send(message)
    return row

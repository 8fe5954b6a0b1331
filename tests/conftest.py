"""How xdist distributes the suite, and what its reports show.

A file's tests run in order on one worker, each molecule scenario on any worker.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from fargate_app.logs import JsonFormatter


class ByFile(LoadScopeScheduling):
    """The scope of a test is its file. A molecule scenario is a scope of its own, because it is independent."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file.endswith("test_molecule.py") else file

    def _reschedule(self, node: WorkerController) -> None:
        """Give a worker its next scope when the last test of its own begins.

        xdist does so two tests before the end. A long one would hold up the next file while other workers are idle.
        """
        if self.workqueue and self._pending_of(self.assigned_work[node]) > 1:
            return
        super()._reschedule(node)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Show a log entry of a failed test as the application writes it: with its fields, such as the reason."""
    logging_plugin: Any = session.config.pluginmanager.get_plugin("logging-plugin")
    logging_plugin.report_handler.setFormatter(JsonFormatter())


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return ByFile(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the measurements of passed tests (``record_property``)."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{report.nodeid.partition('::')[2]}: {name}: {value}")

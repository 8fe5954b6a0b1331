"""Follow an apply or a destroy by the lines that Terraform prints, and read how it ended."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.core.problem import CompleteError, Problem

#: https://github.com/hashicorp/terraform/blob/main/internal/command/views/hook_ui.go
_STARTED = re.compile(r"(\S.*): (Creating|Modifying|Destroying)\.\.\.")
_ENDED = re.compile(r"(\S.*): (?:Creation|Modifications|Destruction) complete after ")
_DEPOSED = re.compile(r" \(deposed object \w+\)$")
_PLANNED = re.compile(r"Plan: (.*)\.")
_COMPLETE = re.compile(r"^(?:Apply|Destroy) complete! Resources: (.+)\.$", re.MULTILINE)
#: Terraform's words, and those of a plan's summary.
_WORDS = {"Creating": "creating", "Modifying": "updating", "Destroying": "destroying"}


class Progress:
    """The operations of one run of Terraform. A replacement is two: it creates and destroys.

    ``file`` is the progress file that the launcher writes. ``plan`` is the output of ``terraform plan``, with the
    number of operations; a destroy prints its plan itself.
    """

    def __init__(self, file: Path, plan: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._started = clock()
        self._offset = 0
        self._running: dict[str, tuple[str, float]] = {}
        self.done, self.total = 0, 0
        file.unlink(missing_ok=True)
        for line in plan.splitlines():
            self._take(line)

    def read(self) -> None:
        """Read the lines that are new."""
        try:
            with self._file.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except OSError:  # Terraform has not started yet
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            self._take(line)

    def line(self) -> str:
        """``creating module.rds[0].aws_db_instance.this, 1 min 20 s, and 2 more · 12 of 147 done``"""
        count = f"{self.done} of {self.total} done" if self.total else f"{self.done} done"
        if not self._running:
            return f"Terraform runs, {elapsed(self._clock() - self._started)} · {count}"
        (address, (word, since)), *others = sorted(self._running.items(), key=lambda item: item[1][1])
        more = f", and {len(others)} more" if others else ""
        return f"{word} {address}, {elapsed(self._clock() - since)}{more} · {count}"

    def ended(self, output: str) -> str:
        """``3 added, 1 changed, 0 destroyed, in 1 min 20 s``; empty if Terraform did not report completion."""
        found = _COMPLETE.search(output)
        return f"{found[1]}, in {elapsed(self._clock() - self._started)}" if found else ""

    def _take(self, line: str) -> None:
        if found := _STARTED.match(line):
            self._running.setdefault(_DEPOSED.sub("", found[1]), (_WORDS[found[2]], self._clock()))
        elif found := _ENDED.match(line):
            self._running.pop(found[1], None)
            self.done += 1
        elif found := _PLANNED.match(line):
            self.total = sum(int(count) for count in re.findall(r"(\d+) to (?:add|change|destroy)", found[1]))


def elapsed(seconds: float) -> str:
    """``42 s`` or ``1 min 20 s``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class TerraformError(CompleteError):
    """Terraform could not finish an apply or a destroy. What it did is in the state.

    ``stderr`` is its report: https://developer.hashicorp.com/terraform/internals/machine-readable-ui#diagnostic
    """

    def __init__(self, root: Path, progress: Progress, stderr: str, next_step: str) -> None:
        errors = stderr[stderr.find("Error: ") :].strip() if "Error: " in stderr else stderr.strip()
        where = ", ".join(dict.fromkeys(re.findall(r"^\s*with (.+),$", errors, re.MULTILINE))) or str(root)
        causes = list(dict.fromkeys(re.findall(r"^Error: (.+)$", errors, re.MULTILINE)))
        what = f"Terraform stopped after {progress.done} of {progress.total} changes."
        outcome = Outcome(kind=Kind.FAILED, what=what, where=where, cause=" · ".join(causes), next=next_step)
        super().__init__(str(Problem(f"{what}\n{errors}", where, next_step)), outcome=outcome.to_result())

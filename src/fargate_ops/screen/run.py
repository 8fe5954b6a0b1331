"""A run as its steps: which are shown, with which details, and how long each phase took."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from fargate_ops.screen import render
from fargate_ops.screen.look import Look
from fargate_ops.screen.output import ALIVE_SECONDS, Output
from fargate_ops.screen.render import State

#: What stands before the text of a tree's line.
_TREE = " │├└─|`-"


@dataclass
class Step:
    """What the playbook names at its own level: a task, a role, or a play that lists roles."""

    key: Hashable
    name: str
    since: float
    said: list[str] = field(default_factory=list)
    changed: bool = False
    skipped: bool = False
    failed: bool = False
    warned: bool = False
    answered: bool = False

    @property
    def state(self) -> State:
        if self.failed:
            return State.FAILED
        if self.changed:
            return State.CHANGED
        return State.SKIPPED if self.skipped else State.OK

    @property
    def summary(self) -> str:
        """The last line that was said."""
        lines = [line for text in self.said for line in text.splitlines() if line.strip(_TREE)]
        return lines[-1].strip(_TREE) if lines else ""


class Run:
    """The steps of one command, drawn as they end."""

    def __init__(self, output: Output | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`output`: none if Ansible's own output is shown."""
        self._output = output
        self._clock = clock
        self.started = clock()
        self.step: Step | None = None
        #: The seconds of each phase (role), in the order of the run.
        self.phases: dict[str, float] = {}
        self._phase = ""
        self._phase_since = self.started

    @property
    def seconds(self) -> float:
        return self._clock() - self.started

    def enter(self, key: Hashable, name: str) -> Step:
        """Begin a step, unless it is the current one."""
        if self.step is not None and self.step.key == key:
            return self.step
        self.leave()
        self.step = Step(key, name, self._clock())
        if self._output:
            self._output.watch(name)
        return self.step

    def phase(self, name: str) -> None:
        """Count the time from now on to this phase."""
        now = self._clock()
        if self._phase:
            self.phases[self._phase] = self.phases.get(self._phase, 0.0) + now - self._phase_since
        self._phase, self._phase_since = name, now

    def say(self, text: str, *, warning: bool = False) -> None:
        """Keep what a plugin said in the current step."""
        if self.step is None:
            self.show(text)
            return
        self.step.said.append(text)
        self.step.warned |= warning
        if self._output:
            self._output.said(self.step.summary)

    def answer(self, text: str) -> None:
        """Print at once what a reading command was asked for."""
        if self.step is not None:
            self.step.answered = True
        self.show(text)

    def show(self, text: str) -> None:
        if self._output:
            look = self._output.look
            self._output.print(render.shown(line, look) for line in text.split("\n"))

    def leave(self, hidden: str = "") -> None:
        """End the current step and draw it, without the details that `hidden`, the outcome's cause, repeats."""
        step, self.step = self.step, None
        if step is None or self._output is None:
            return
        self._output.rest()
        self._output.print(self._lines(step, hidden, self._output.look))

    def _lines(self, step: Step, hidden: str, look: Look) -> list[str]:
        seconds = self._clock() - step.since
        told = step.changed or step.failed or step.warned
        if not told and (step.answered or (not step.said and seconds < ALIVE_SECONDS)):
            return []
        if not told:
            return render.step(look, step.state, step.name, seconds, step.summary)
        said = [text for text in step.said if not _repeats(text, hidden)]
        title = render.step(look, step.state, step.name, seconds)
        details = render.details(look, said, render.DETAILS_OF_A_FAILURE if step.failed else render.DETAILS)
        # GitHub folds a group: a failure stays open.
        return render.folded(title, details) if look.github and details and not step.failed else [*title, *details]


def _repeats(text: str, cause: str) -> bool:
    bare = text.strip()
    return bool(cause and bare) and (bare in cause or cause.strip() in bare)

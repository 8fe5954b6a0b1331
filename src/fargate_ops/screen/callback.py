"""Ansible's events, as the steps of a run and its outcome."""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.playbook.block import Block
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils import color
from ansible.utils.display import Display

from fargate_ops.core.lines import Answer, Note, Progress
from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.core.project import PROJECT
from fargate_ops.screen import ending, render
from fargate_ops.screen.ending import Failure
from fargate_ops.screen.log import Log
from fargate_ops.screen.look import Look
from fargate_ops.screen.output import Output
from fargate_ops.screen.run import Run

#: Who asks for one of these looks at Ansible itself.
EXPERT_ARGUMENTS = ("verbosity", "diff", "step", "start_at_task")
#: The modules whose change touches nothing yet: a file of this machine, or a plan. A run may still be refused.
PREPARING = frozenset({"bots_package", "terraform_guard", "toolchain"})


class LogDisplay:
    """Ansible's display, whose lines go to the log. Warnings go to the real one, so they are also on the screen."""

    banner = Display.banner
    _error = Display._error

    def __init__(self, real: Display, write: Callable[[str], None]) -> None:
        self._real = real
        self._write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def display(self, msg: str, *_: Any, screen_only: bool = False, newline: bool = True, **__: Any) -> None:
        if not screen_only:
            self._write(msg if msg.endswith("\n") or not newline else f"{msg}\n")


class ScreenCallback(Default):
    """One line a step, then the outcome. Ansible's default output goes to the log, or here if it is asked for."""

    CALLBACK_TYPE = "stdout"
    CALLBACK_VERSION = 2.0
    CALLBACK_NAME = "screen"

    def __init__(self) -> None:
        super().__init__()
        arguments = context.CLIARGS
        self._playbook = Path(next(iter(arguments.get("args") or ["playbook"]))).stem.removeprefix("_")
        self._folder, self._environment = _folder(arguments.get("inventory"))
        self._log = Log(self._folder / "log", self._playbook)
        self._dry = bool(arguments.get("check"))
        self._process = os.getpid()
        self._display: Any
        self._real: Display = self._display
        self._shown = self._real.display
        if isinstance(sys.stdout, io.TextIOWrapper):  # by default the system buffers 8 KiB for a pipe or a file
            sys.stdout.reconfigure(line_buffering=True)
        expert = any(arguments.get(name) for name in EXPERT_ARGUMENTS) or os.environ.get("OUTPUT") == "ansible"
        look = Look.of(sys.stdout, os.environ, colour=color.ANSIBLE_COLOR)
        self._output = None if expert else Output(sys.stdout, look, self._real._lock)
        self._run = Run(self._output)
        self._look = look
        if not expert:
            self._display = LogDisplay(self._real, self._log.write)
        self._real.display = self._heard
        self._play: Any = None
        self._outcome: Outcome | None = None
        self._failure: Failure | None = None
        self._error = ""
        self._signal = ""
        self._changed = 0
        self._touched = False
        self._reached = False
        self._finished = False
        atexit.register(self._log.close)
        atexit.register(self._end)  # before that
        for number in (signal.SIGINT, signal.SIGTERM):
            self._precede(number)

    def set_options(self, *args: Any, **options: Any) -> None:
        super().set_options(*args, **options)
        if self._output:
            self.set_option("display_skipped_hosts", True)  # the log is complete

    # What is printed outside of this class: by plugins in a worker, by other callbacks, by Ansible itself.

    def _heard(self, msg: str, *args: Any, **options: Any) -> None:
        if self._real._final_q or os.getpid() != self._process:
            self._shown(msg, *args, **options)  # a worker's, which passes it to the process of the playbook
            return
        named = dict(zip(("color", "stderr", "screen_only", "log_only"), args, strict=False)) | options
        if not named.get("screen_only"):
            self._log.write(msg if msg.endswith("\n") else f"{msg}\n")
        if named.get("log_only") or self._output is None or self._finished:
            self._shown(msg, *args, **options)
        elif isinstance(msg, Answer):
            self._run.answer(self._painted(msg, named))
        elif isinstance(msg, Progress):
            self._output.said(msg.strip())
        elif isinstance(msg, Note):
            pass
        elif named.get("stderr") and msg.startswith("[ERROR]"):
            self._error = msg.removeprefix("[ERROR]: ")
        elif named.get("stderr"):
            self._output.beside(lambda: self._shown(msg, *args, **options))
        else:
            self._run.say(str(msg), warning=named.get("color") == "yellow" or msg.lstrip().startswith("warning: "))

    def _painted(self, text: str, named: dict[str, Any]) -> str:
        return color.stringc(text, named["color"]) if named.get("color") else str(text)

    # Ansible's events.

    def v2_playbook_on_play_start(self, play: Any) -> None:
        super().v2_playbook_on_play_start(play)
        self._play = play

    def v2_playbook_on_vars_prompt(self, *_: Any, **__: Any) -> None:
        if self._output:
            self._output.rest()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        super().v2_playbook_on_task_start(task, is_conditional)
        self._begin(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        super().v2_playbook_on_handler_task_start(task)
        self._begin(task)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._result(result)
        super().v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._fail(result)
        super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._fail(result)
        super().v2_runner_on_unreachable(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._run.phase("")
        super().v2_playbook_on_stats(stats)
        self._changed = sum(stats.changed.values())
        self._end()

    def _begin(self, task: Any) -> None:
        key, name = _step(task, self._play)
        if self._run.step is not None and self._run.step.key != key:
            self._leave()
        self._run.enter(key, name)
        self._run.phase(task._role.get_name() if task._role else "")
        # This phase of a release, a rollback or a rotation replaces the service's tasks.
        self._reached |= task.args.get("phase") == "update" and not self._dry

    def _result(self, result: Any) -> None:
        found, step = result.result, self._run.step
        if found.get("changed"):
            self._changed += 1
            self._touched |= not self._dry and result.task.action.rpartition(".")[2] not in PREPARING
        if step:
            step.changed |= bool(found.get("changed"))
            step.skipped |= bool(found.get("work_skipped"))
        if isinstance(outcome := found.get("outcome"), dict):
            self._outcome = Outcome.from_result(outcome)
        if result.task.action.rpartition(".")[2] == "debug" and "msg" in found and self._output:
            self._run.answer(str(found["msg"]))

    def _fail(self, result: Any) -> None:
        found = result.result
        if isinstance(outcome := found.get("outcome"), dict):
            self._outcome = Outcome.from_result(outcome)
        if self._failure is not None or self._rescued(result):
            return
        step = self._run.step
        self._failure = Failure(
            step=step.name if step else self._playbook,
            task=result.task.get_name(),
            message=_message(found),
            kind=Outcome.of_failed_task(found).kind,
        )
        if step:
            step.failed = True

    def _rescued(self, result: Any) -> bool:
        """Return whether a ``rescue:`` takes this failure: Ansible has kept the task as ``ansible_failed_task``."""
        facts = getattr(self._play.get_variable_manager(), "_nonpersistent_fact_cache", {})
        failed = facts.get(result.host.name, {}).get("ansible_failed_task", {})
        return bool(failed) and failed.get("uuid") == result.task._uuid

    def _leave(self) -> None:
        ended = self._ended() if self._run.step and self._run.step.failed else None
        self._run.leave(hidden=ended.cause if ended else "")

    # The end.

    def _precede(self, number: int) -> None:
        """On this signal, say what is known before Ansible's own handler ends the process."""
        following = signal.getsignal(number)

        def handle(received: int, frame: Any) -> None:
            if os.getpid() == self._process:
                self._signal = signal.Signals(received).name
                if self._output:
                    self._output.rest()
                if received == signal.SIGTERM:
                    self._end()
            if callable(following):
                following(received, frame)

        if callable(following):
            signal.signal(number, handle)

    def _break_off(self) -> None:
        """Keep that a signal, or an error outside of any task, ended the run."""
        step = self._run.step
        if self._signal == "SIGINT" and step and step.answered and not self._changed:
            return  # the end of a log that is followed
        again = f"make status ENV={self._environment}" if self._environment else "repeat the command"
        message = f"interrupted by {self._signal}\nNext: {again}" if self._signal else self._error
        if step:
            step.failed = True
        name = step.name if step else self._playbook
        self._failure = Failure(step=name, task=name, message=message)

    def _ended(self) -> Outcome:
        """Return the outcome, with what the tasks left empty."""
        if self._failure is None:
            if self._outcome is not None and self._outcome.kind is Kind.DONE:
                return self._outcome
            return Outcome(kind=Kind.DONE, what=f"{self._playbook.replace('_', '-')} is done")
        outcome = ending.derive(self._failure, self._environment, reached=self._reached, log=_near(self._log.path))
        if self._outcome is not None and self._outcome.kind is not Kind.DONE:
            outcome = ending.complete(self._outcome, replace(outcome, where=self._failure.step))
        return outcome.after_changes() if self._touched else outcome

    def _end(self) -> None:
        """Print the outcome, once, and write it for programs."""
        if self._finished or os.getpid() != self._process:
            return
        if self._failure is None and (self._signal or self._error):
            self._break_off()
        outcome = self._ended()
        self._run.leave(hidden=outcome.cause)
        self._finished = True
        seconds = self._run.seconds
        self._log.write(f"{_times(self._run)} · in all {seconds:.1f} s\n")
        log = f"none ({self._log.problem})" if self._log.problem else _near(self._log.path)
        phases = [f"{name} {render.duration(spent)}" for name, spent in self._run.phases.items() if spent >= 1]
        took = f"{render.duration(seconds)}, changed={self._changed}" + (f": {' · '.join(phases)}" if phases else "")
        lines = render.outcome(self._look, self._environment, outcome, took=took, log=log, dry=self._dry)
        self._log.write("".join(f"{line}\n" for line in lines))
        if self._output:
            self._output.print(lines)
            self._output.close()
        else:
            self._shown(f"Log: {log}")
        ending.write(
            self._folder / "outcome.json",
            outcome,
            {
                "playbook": self._playbook,
                "check_mode": self._dry,
                "changed": self._changed,
                "seconds": round(seconds, 1),
                "phases": {name: round(spent, 1) for name, spent in self._run.phases.items()},
                "log": str(self._log.path),
            },
            os.environ,
        )


def _folder(inventory: Any) -> tuple[Path, str]:
    """Return the environment's folder below ``.local``, and its name, from ``inventory/<environment>``."""
    sources = inventory or constants.DEFAULT_HOST_LIST
    source = Path(str(next(iter(sources), ""))).absolute()
    if source.parent.name == "inventory":
        return source.parents[1] / ".local" / source.name, source.name
    return PROJECT / ".local", ""


def _near(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _step(task: Any, play: Any) -> tuple[str, str]:
    """Return the key and the name of a task's step: the outermost task or role, or a play that lists roles."""
    outermost, above = task, task
    while (above := above._parent) is not None:
        if not isinstance(above, Block):
            outermost = above
    if outermost._role is not None:
        return play._uuid, play.get_name()
    return outermost._uuid, outermost.get_name()


def _message(result: dict[str, Any]) -> str:
    message = str(result.get("msg") or result.get("censored") or "no reason was given")
    items = [item for item in result.get("results", []) if isinstance(item, dict) and item.get("failed")]
    stderr = str(result.get("module_stderr") or result.get("stderr") or "").strip()
    more = [str(item.get("msg")) for item in items] or [stderr]
    return "\n".join([message, *(text for text in more if text and text not in message)])


def _times(run: Run) -> str:
    phases = [f"{phase} {seconds:.1f} s" for phase, seconds in run.phases.items() if seconds >= 0.05]
    return f"Time: {' · '.join(phases)}"

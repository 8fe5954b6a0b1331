"""The base class of the project's action plugins: arguments, AWS sessions, output, check mode and failures."""

from __future__ import annotations

import sys
import traceback
from abc import abstractmethod
from functools import cached_property
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from botocore.exceptions import BotoCoreError, ClientError

from fargate_ops.aws.endpoint import not_answering, silence_problem
from fargate_ops.aws.session import AwsSession, action_environment, aws_session, read_ahead
from fargate_ops.core.application import Application
from fargate_ops.core.lines import Answer, Note, Progress
from fargate_ops.core.outcome import Kind, Outcome
from fargate_ops.core.problem import OperationsError
from fargate_ops.plugin.arguments import argument_spec
from fargate_ops.plugin.failure import problem_of
from fargate_ops.plugin.worker import Sleep, sleep_with_parent, whole_lines
from fargate_ops.terraform.stack import Stack

# Ansible imports a plugin in its own process, once, and forks a process for each task.
read_ahead()


class OperationsAction(ActionBase):
    """An action plugin whose arguments are in the DOCUMENTATION of its file, and whose failures name the next step.

    A plugin reports a failure by raising an error. It neither catches an error to report it nor returns a failed result
    (`failure`).
    """

    #: Constraints between arguments, as ``validate_argument_spec`` takes them, for example ``mutually_exclusive``.
    constraints: ClassVar[dict[str, Any]] = {}
    #: The make target to run after an expected failure that names no command, for example ``status``.
    next_verb: ClassVar[str] = ""

    #: The argument ``environment_name``, otherwise the variable ``env_name``.
    environment: str
    #: The argument ``stack``; empty for a plugin without it.
    stack: Stack
    #: The argument ``application``, for a plugin with it.
    application: Application
    task_vars: dict[str, Any]

    _requires_connection = False
    _supports_check_mode = True

    @abstractmethod
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        """Do the work; return the task's result."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.task_vars = task_vars or {}
        spec = argument_spec(sys.modules[self.__module__].DOCUMENTATION)
        _, args = self.validate_argument_spec(spec, **self.constraints)
        self.environment = str(args.get("environment_name") or self.task_vars.get("env_name", "this environment"))
        self.stack = Stack(args.get("stack") or {}, self.environment)
        if args.get("application"):
            self.application = Application.from_fact(args["application"])
        try:
            return result | {"changed": False} | self.execute(args)
        except AnsibleError:
            raise
        except Exception as error:
            # From None: Ansible would print the cause's text after the message.
            raise self.failure(error) from None

    # For a plugin's work.

    @cached_property
    def aws_environment(self) -> dict[str, str]:
        """The play's and the task's ``environment:``."""
        return action_environment(self)

    def session(self, region: str | None = None) -> AwsSession:
        """Return an AWS session with this task's environment, in the stack's region unless another is given."""
        return aws_session(self.aws_environment, region or self.stack.get(Stack.region, None))

    def require_stack(self) -> None:
        """Raise an `OperationsError` if nothing is deployed."""
        if not self.stack:
            raise OperationsError(
                f"nothing is deployed here. Next: make deploy ENV={self.environment}", kind=Kind.REFUSED
            )

    def say(self, line: str, color: str | None = None) -> None:
        """Print a line while the task runs."""
        whole_lines(lambda text: Display().display(text, color=color))(line)

    def warn(self, line: str) -> None:
        """Print a line in yellow."""
        self.say(line, color="yellow")

    def answer(self, text: str, color: str | None = None) -> None:
        """Print what the command was asked for. The screen shows all of it, at once."""
        self.say(Answer(text), color)

    def progress(self, line: str) -> None:
        """Print how far the task is. The screen shows it only while the step lasts."""
        self.say(Progress(line))

    def note(self, line: str) -> None:
        """Write a line into the log."""
        self.say(Note(line))

    @cached_property
    def sleep(self) -> Sleep:
        """A ``sleep`` that raises if the playbook has ended."""
        return sleep_with_parent()

    # The end of the command, as far as the plugin knows it.

    def done(self, what: str, *, next_command: str = "", **facts: str) -> dict[str, Any]:
        """Return the part of a task's result that says what is now true."""
        return self.ended(Outcome(kind=Kind.DONE, what=what, next=next_command, facts=facts))

    def ended(self, outcome: Outcome) -> dict[str, Any]:
        """Return the part of a task's result that says how the command ended, and write it into the log."""
        self.note(outcome.text(self.environment))
        return {"outcome": outcome.to_result()}

    # Check mode.

    @property
    def preview(self) -> bool:
        """Whether to print what would be done without doing it: check mode."""
        return bool(self._task.check_mode)

    def report(self, message: str, **result: Any) -> dict[str, Any]:
        """Print a message and return it as the task's result, for example what would be done."""
        self.say(message)
        return {"msg": message, **result}

    def unknown(self, message: str, failure: str = "", **result: Any) -> dict[str, Any]:
        """Report in check mode that something cannot be known before a deployment; otherwise fail.

        Raises:
            OperationsError: outside check mode, with `failure` or else `message`.
        """
        if not self.preview:
            raise OperationsError(failure or message, kind=Kind.REFUSED)
        return self.report(f"{self.environment}: {message}", work_skipped=True, **result)

    def silence(self) -> str:
        """Return why the AWS endpoint does not answer, or an empty string if it does.

        Raises:
            ProblemError: it does not answer, outside check mode.
        """
        silence = not_answering(self.aws_environment)
        if silence and not self.preview:
            raise silence_problem(silence)
        return silence

    # Failures.

    @property
    def subject(self) -> str:
        """The beginning of a failure's message."""
        return self.environment

    def details(self, error: Exception) -> dict[str, Any]:
        """Return the failed task's results beside its message and its outcome."""
        return error.details if isinstance(error, OperationsError) else {}

    def outcome(self, error: Exception) -> Outcome:
        """Return how the command ends by an error."""
        if isinstance(error, OperationsError):
            return error.outcome(self.subject, self._next_step(error))
        return problem_of(error).outcome()

    def failure(self, error: Exception) -> AnsibleActionFail:
        """Return the failed task of an error: an `OperationsError` has its own message, any other becomes a `Problem`.

        With ``-vvv`` the traceback of an unexpected error is printed here, because Ansible never prints it.
        """
        result = {"outcome": self.outcome(error).to_result(), **self.details(error)}
        if not isinstance(error, OperationsError):
            Display().vvv(traceback.format_exc())
            return AnsibleActionFail(f"{self.subject}: {problem_of(error)}", result=result)
        if error.evidence:
            self.say(error.evidence, color="red")
        return AnsibleActionFail(error.message(self.subject, self._next_step(error)), result=result)

    def _next_step(self, error: OperationsError) -> str:
        """Return what helps if the error names nothing: `next_verb`, but first what AWS does not answer for."""
        cause = error.__cause__
        if isinstance(cause, BotoCoreError) or (isinstance(cause, ClientError) and not self.next_verb):
            return problem_of(cause).next_step
        return f"make {self.next_verb} ENV={self.environment}" if self.next_verb else ""

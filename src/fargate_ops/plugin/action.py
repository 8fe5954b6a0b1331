"""The base of the project's action plugins: how arguments are read, and how an error becomes a failed task."""

from __future__ import annotations

import traceback
from abc import abstractmethod
from typing import Any, ClassVar

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from fargate_ops.core.problem import ProblemError
from fargate_ops.plugin.arguments import argument_spec
from fargate_ops.plugin.failure import problem_of
from fargate_ops.terraform.stack import Stack


class OperationsAction(ActionBase):
    """An action plugin whose arguments stand in its DOCUMENTATION, and whose every failure says what to do next.

    A plugin raises `ProblemError` for what it expects. Any other exception is told in the same form; its traceback is
    shown with ``-vvv``.
    """

    documentation: ClassVar[str]
    #: The arguments, where they are more than DOCUMENTATION can say.
    arguments: ClassVar[dict[str, Any]] = {}
    #: What holds between arguments, as ``validate_argument_spec`` takes it: ``mutually_exclusive`` and the like.
    constraints: ClassVar[dict[str, Any]] = {}
    #: The argument ``stack``; without outputs where there is none.
    stack: Stack

    _requires_connection = False
    _supports_check_mode = True

    @abstractmethod
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        """Do the work; return the task's result."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.task_vars = task_vars or {}
        spec = self.arguments or argument_spec(self.documentation)
        _, args = self.validate_argument_spec(spec, **self.constraints)
        self.stack = Stack(args.get("stack") or {}, str(self.task_vars.get("env_name", "this environment")))
        try:
            return result | {"changed": False} | self.execute(args)
        except AnsibleError:
            raise
        except ProblemError as error:
            return result | {"failed": True, "msg": str(error)}
        except Exception as error:
            # Ansible itself shows a traceback at no verbosity.
            Display().vvv(traceback.format_exc())
            return result | {
                "failed": True,
                "msg": f"{self.task_vars.get('env_name', 'This run')}: {problem_of(error)}",
            }

    @property
    def check_mode(self) -> bool:
        return bool(self._task.check_mode)

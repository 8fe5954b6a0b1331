"""Replaces or extends functions of the emulator.

A patch marks its functions, and the composition installs the patch. A patch is a module, or an object if its functions
need more than the request::

    @extends("ecs", "ListTasks")
    def list_tasks(list_all: Handler, data: dict[str, Any]) -> Any:
        ...
        return list_all(data)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from local_cloud.core import emulator

Handler = Callable[..., Any]
"""A function of the emulator. That of an action takes the request and returns status, headers and body."""
_Function = TypeVar("_Function", bound=Handler)

_MARK = "_places"
_ACTIONS = {"iam": "_IAM_HANDLERS"}
"""The table of a service's actions, if it is not ``_ACTION_MAP``."""


@dataclass(frozen=True)
class _Place:
    """One action of a service (``StopTask``), or one function of its module (``_stop_task``).

    The service ``app`` is the emulator's application, which dispatches the requests to all services.
    """

    service: str
    name: str
    extends: bool

    def fill(self, function: Handler) -> None:
        module = emulator.application() if self.service == "app" else emulator.service(self.service)
        is_action = self.name[0].isupper()
        table = getattr(module, _ACTIONS.get(self.service, "_ACTION_MAP")) if is_action else vars(module)
        table[self.name] = functools.partial(function, table[self.name]) if self.extends else function


def replaces(service: str, name: str) -> Callable[[_Function], _Function]:
    """Mark a function that replaces the emulator's `name`, an action or a function of the service."""
    return _marks(_Place(service, name, extends=False))


def extends(service: str, name: str) -> Callable[[_Function], _Function]:
    """Mark a function that replaces the emulator's `name` and gets the replaced function as its first argument."""
    return _marks(_Place(service, name, extends=True))


def _marks(place: _Place) -> Callable[[_Function], _Function]:
    def mark(function: _Function) -> _Function:
        setattr(function, _MARK, [*getattr(function, _MARK, ()), place])
        return function

    return mark


def install(patch: object) -> None:
    """Install every marked function of a module, or every marked method of an object.

    Raises:
        KeyError: the emulator has no function or action of that name to extend.
    """
    for name, member in vars(patch if isinstance(patch, ModuleType) else type(patch)).items():
        for place in getattr(member, _MARK, ()):
            place.fill(getattr(patch, name))

"""Waiting that ends with the playbook."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


class Orphaned(BaseException):
    """The playbook is gone. Not an Exception: nothing may go on, least of all an error path that changes something."""


def sleep_with_parent(parent: int | None = None) -> Callable[[float], None]:
    """A ``sleep`` that raises when this process lost its parent.

    Ansible runs an action in a child of ``ansible-playbook``. When that is killed (``kill -9``), the child lives on: it
    must not wait out a rollout and then stop it under the hands of the next flow.
    """
    expected = os.getppid() if parent is None else parent

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        if os.getppid() != expected:
            raise Orphaned

    return sleep

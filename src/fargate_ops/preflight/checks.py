"""The checks of a preflight by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fargate_ops.aws.endpoint import not_answering, silence_problem
from fargate_ops.core.checks import Finding
from fargate_ops.inventory import preflight as inventory
from fargate_ops.preflight import cloud, machine


@dataclass(frozen=True, kw_only=True)
class Checks:
    """The input of the checks; each method is one check.

    ``value`` resolves one variable of the inventory, ``given`` resolves all; ``sts`` returns the client of a region.
    ``environment`` is the environment of AWS calls. A preview accepts that a service which the flow starts on this
    machine does not run yet.
    """

    project_dir: str
    allow_dirty: bool
    allow_shallow: bool
    docker_host: str
    disk_paths: Sequence[str]
    disk_free_gib: float
    environment: Mapping[str, str]
    value: Callable[[str], str]
    given: Callable[[], inventory.Given]
    sts: Callable[[str], Any]
    preview: bool

    def inventory(self) -> Finding:
        return inventory.check(self.given())

    def account(self) -> Finding:
        # Try a plain connection first: a client would retry for half a minute.
        silence = not_answering(self.environment)
        if silence and self.preview:
            return Finding("account", f"not known yet: {silence}", skipped=True)
        if silence:
            return Finding("account", "no answer", (silence_problem(silence).problem,))
        sts = self.sts(self.value("aws_region"))
        return cloud.check_account(sts, self.value("aws_account_id"), self.value("env_name"))

    def git(self) -> Finding:
        return machine.check_git(Path(self.project_dir), allow_dirty=self.allow_dirty, allow_shallow=self.allow_shallow)

    def engine(self) -> Finding:
        environment = {**os.environ, **self.environment}
        return machine.check_engine(environment, self.docker_host, may_start_later=self.preview)

    def registry(self) -> Finding:
        return cloud.check_registry(self.value("image_registry"), may_start_later=self.preview)

    def disk(self) -> Finding:
        return machine.check_disk([Path(path) for path in self.disk_paths], self.disk_free_gib)

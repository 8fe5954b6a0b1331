"""The checks of a preflight by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fargate_ops.aws.endpoint import not_answering, silence_problem
from fargate_ops.core.checks import Finding
from fargate_ops.github import variables
from fargate_ops.inventory import preflight as inventory
from fargate_ops.preflight import cloud, machine


@dataclass(frozen=True, kw_only=True)
class Checks:
    """The input of the checks; each method is one check.

    ``value`` resolves one variable of the inventory, ``given`` resolves all; ``client`` returns the client of a service
    and a region. ``environment`` is the environment of AWS calls. ``required_programs`` maps a program to what
    installs it. A preview accepts that a service which the flow starts on this machine does not run yet.
    """

    project_dir: str
    allow_dirty: bool
    allow_shallow: bool
    docker_host: str
    disk_paths: Sequence[str]
    disk_free_gib: float
    memory_free_gib: float
    required_programs: Mapping[str, str]
    github_repository: str
    environment: Mapping[str, str]
    value: Callable[[str], str]
    given: Callable[[], inventory.Given]
    client: Callable[[str, str], Any]
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
        return cloud.check_account(self._aws("sts"), self.value("aws_account_id"), self.value("env_name"))

    def git(self) -> Finding:
        return machine.check_git(Path(self.project_dir), allow_dirty=self.allow_dirty, allow_shallow=self.allow_shallow)

    def engine(self) -> Finding:
        environment = {**os.environ, **self.environment}
        return machine.check_engine(environment, self.docker_host, may_start_later=self.preview)

    def registry(self) -> Finding:
        return cloud.check_registry(self.value("image_registry"), may_start_later=self.preview)

    def python(self) -> Finding:
        return machine.check_python()

    def identity(self) -> Finding:
        return machine.check_identity(Path(self.project_dir))

    def memory(self) -> Finding:
        return machine.check_memory(self.memory_free_gib)

    def programs(self) -> Finding:
        return machine.check_programs(self.required_programs)

    def clock(self) -> Finding:
        if self.environment.get("AWS_ENDPOINT_URL"):  # an emulator of this machine has the same clock
            return machine.check_clock(Path(self.project_dir))
        return cloud.check_skew(self._aws("sts"))

    def bucket(self) -> Finding:
        if silence := not_answering(self.environment):
            return Finding("bucket", f"not known yet: {silence}", skipped=True)
        bucket = self.value("state_bucket")
        return cloud.check_bucket(self._aws("s3"), bucket, self.value("env_name"), may_start_later=self.preview)

    def github(self) -> Finding:
        return cloud.check_github(variables.gh, self.github_repository)

    def disk(self) -> Finding:
        return machine.check_disk([Path(path) for path in self.disk_paths], self.disk_free_gib)

    def _aws(self, service: str) -> Any:
        return self.client(service, self.value("aws_region"))

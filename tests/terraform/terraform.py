"""Terraform for the tests, beside a provider that is started once.

Terraform starts the AWS provider anew for each run block of a test, and most of what a run costs is that start. In its
debug mode a provider is a server that any number of commands attach to: a module's tests cost a fifth of the CPU time
(https://developer.hashicorp.com/terraform/plugin/debugging). Each command configures it anew, so all must mock it.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parents[2] / "terraform"
TIMEOUT_SECONDS = 300

_REQUIRES_PROVIDER = 'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n'


class TerraformError(Exception):
    """A Terraform command failed; the message is the command and all that it printed."""


def copy_source(parent: Path, *without: str) -> Path:
    """A copy of `terraform/` below `parent`, without these files: no lock file is left in the working tree."""
    patterns = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars*", *without)
    return shutil.copytree(SOURCE, parent / "terraform", ignore=patterns)


def run_terraform(directory: Path, *arguments: str) -> str:
    """Run one Terraform command in `directory` with the provider that all share; return its output.

    Raises:
        TerraformError: the command failed, or there is no Terraform.
    """
    return _run(directory, arguments, {"TF_REATTACH_PROVIDERS": _provider()})


def plans_of_tests(parent: Path, path: str) -> dict[str, dict[str, Any]]:
    """The plan of each run of the tests in `terraform/<path>`, in a copy below `parent`, by the run's name."""
    directory = copy_source(parent) / path
    run_terraform(directory, "init", "-backend=false", "-input=false")
    lines = map(json.loads, run_terraform(directory, "test", "-json", "-verbose").splitlines())
    return {line["@testrun"]: line["test_plan"] for line in lines if line["type"] == "test_plan"}


def own_schema() -> tuple[str, dict[str, Any]]:
    """The version of the provider that ``terraform init`` takes here, and its schema as it says it itself."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "versions.tf").write_text(_REQUIRES_PROVIDER, encoding="utf-8")
        _run(folder, ("init", "-input=false"), {})
        versions = json.loads(_run(folder, ("version", "-json"), {}))["provider_selections"]
        schemas = json.loads(_run(folder, ("providers", "schema", "-json"), {}))["provider_schemas"]
    ((address, version),) = versions.items()
    return version, schemas[address]


def _run(directory: Path, arguments: tuple[str, ...], variables: dict[str, str]) -> str:
    terraform = shutil.which("terraform")
    if terraform is None:
        raise TerraformError("terraform is not on PATH: `make test` provides it")
    environment = {
        **os.environ,
        **variables,
        "TF_DATA_DIR": str(directory / ".terraform"),
        "TF_IN_AUTOMATION": "1",
        "CHECKPOINT_DISABLE": "1",
        # Most of what is left is reading the provider's schema, a quarter of it garbage collection.
        "GOGC": "400",
    }
    done = subprocess.run(
        [terraform, *arguments, "-no-color"],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise TerraformError(f"terraform {' '.join(arguments)} in {directory.name}:\n{done.stdout}")
    return done.stdout


@cache
def _provider() -> str:
    """What TF_REATTACH_PROVIDERS must say for the provider that this process has started; it ends with the process."""
    # Its path becomes part of a socket's, which may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="provider"))
    atexit.register(shutil.rmtree, folder)
    (folder / "versions.tf").write_text(_REQUIRES_PROVIDER, encoding="utf-8")
    _run(folder, ("init", "-input=false"), {})
    (program,) = folder.glob(".terraform/providers/registry.terraform.io/hashicorp/aws/*/*/terraform-provider-aws*")
    # Its log goes to a file: nobody reads a pipe to its end.
    with (folder / "log").open("w+", encoding="utf-8") as log:
        # The shell's account and certificates are none of a test's.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        server = subprocess.Popen(
            [program, "-debug"], env={**environment, "GOGC": "400"}, stdout=subprocess.PIPE, stderr=log, text=True
        )
        atexit.register(server.wait)
        atexit.register(server.terminate)
        assert server.stdout
        for line in server.stdout:
            if found := re.search(r"TF_REATTACH_PROVIDERS='(.*)'", line):
                return found[1]
        log.seek(0)
        raise TerraformError(f"{program.name} -debug did not say how to attach to it:\n{log.read()}")

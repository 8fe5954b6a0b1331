"""Run Terraform under this project's settings only, whatever the shell around a playbook has set.

`workspace.write_launcher` writes a script that calls this file for every Terraform command, so it imports nothing that
takes time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

#: Variables that the role sets for every command.
OURS = frozenset({"TF_CLI_CONFIG_FILE", "TF_DATA_DIR", "TF_IN_AUTOMATION", "TF_INPUT"})

#: Commands that `community.general.terraform` runs around a plan or an apply, with the output that it needs. The
#: module cannot skip them, and each takes a second or more: `plan` validates the same configuration,
#: there is only the default workspace, and `terraform_outputs` reads the outputs once.
ANSWERED = {"validate": "", "workspace": "* default\n", "output": "{}\n"}

#: Commands whose standard output is also written into the progress file.
WATCHED = frozenset({"apply", "destroy"})


def terraform_environment(inherited: Mapping[str, str], kept: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return `inherited` without the variables that change what Terraform does, except those in `kept`.

    They are ``TF_WORKSPACE``, ``TF_VAR_…``, ``TF_CLI_ARGS…``, ``TF_DATA_DIR`` and many more, the provider's own among
    them (``TF_AWS_DEFAULT_TAGS_…``); all begin with ``TF_``. ``TF_LOG…`` only makes Terraform say more.
    https://developer.hashicorp.com/terraform/cli/config/environment-variables
    """
    return {
        name: value
        for name, value in inherited.items()
        if not name.startswith("TF_") or name.startswith("TF_LOG") or name in kept
    }


def copy_output(progress: str) -> None:
    """Send this process's output through child processes, which also write its standard output into `progress`.

    Terraform keeps this process's id, so signals and its exit code need no forwarding. On Ctrl-C Ansible ends the
    module that reads the output. Terraform's next line would then kill it in the middle of its work (SIGPIPE), with
    resources that no state has. The children read on instead, until Terraform ends.
    """
    try:
        file = os.open(progress, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError:  # without a progress file Terraform still runs
        file = -1
    _through_child(1, 1, file)
    _through_child(2, 2)


def _through_child(stream: int, *targets: int) -> None:
    source, sink = os.pipe()
    if os.fork():
        os.dup2(sink, stream)
        os.close(source)
        os.close(sink)
        return
    os.close(sink)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while data := os.read(source, 65536):
        for target in targets:
            with suppress(OSError):  # its reader has ended, or the disk is full
                os.write(target, data)
    os._exit(0)


def main(terraform: str, init_option: str, progress: str, *command: str) -> None:
    """Run ``terraform <command>``, with `init_option` for ``init``. Replaces this process."""
    if command[0] in ANSWERED:
        sys.stdout.write(ANSWERED[command[0]])
        return
    # The default workspace, even if somebody selected another one in this data folder.
    environment = terraform_environment(os.environ, OURS) | {"TF_WORKSPACE": "default"}
    options = [init_option] if init_option and command[0] == "init" else []
    if command[0] in WATCHED:
        copy_output(progress)
    try:
        os.execve(terraform, [terraform, command[0], *options, *command[1:]], environment)  # noqa: S606
    except OSError as error:
        sys.exit(f"{terraform} cannot be run: {error.strerror}. Next: remove it, then repeat the command")


if __name__ == "__main__":
    main(*sys.argv[1:])

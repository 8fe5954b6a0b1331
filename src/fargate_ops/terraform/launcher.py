"""Run Terraform under this project's settings only, whatever the shell around a playbook has set.

`workspace.write_launcher` writes a script that calls this file for every Terraform command, so it imports nothing that
takes time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

#: Variables that the role sets for every command.
OURS = frozenset({"TF_CLI_CONFIG_FILE", "TF_DATA_DIR", "TF_IN_AUTOMATION", "TF_INPUT"})

#: Commands that `community.general.terraform` runs around a plan or an apply, with the output that it needs. The
#: module cannot skip them, and each takes a second or more: `plan` validates the same configuration,
#: there is only the default workspace, and `terraform_outputs` reads the outputs once.
ANSWERED = {"validate": "", "workspace": "* default\n", "output": "{}\n"}


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


def main(terraform: str, init_option: str, *command: str) -> None:
    """Run ``terraform <command>``, with `init_option` for ``init``. Replaces this process."""
    if command[0] in ANSWERED:
        sys.stdout.write(ANSWERED[command[0]])
        return
    # The default workspace, even if somebody selected another one in this data folder.
    environment = terraform_environment(os.environ, OURS) | {"TF_WORKSPACE": "default"}
    options = [init_option] if init_option and command[0] == "init" else []
    try:
        os.execve(terraform, [terraform, command[0], *options, *command[1:]], environment)  # noqa: S606
    except OSError as error:
        sys.exit(f"{terraform} cannot be run: {error.strerror}. Next: remove it, then repeat the command")


if __name__ == "__main__":
    main(*sys.argv[1:])

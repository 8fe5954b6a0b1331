"""Entry of `fargate_ops.plugin.environment`: unset variables that the shell must not decide, before the first task."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.callback import CallbackBase

from fargate_ops.core import trust
from fargate_ops.plugin import environment

DOCUMENTATION = r"""
name: environment
type: notification
short_description: Build the environment of a run of ansible-playbook
description:
  - Unsets variables of the shell that would select another account, endpoint, Terraform workspace or container engine
    than the inventory. Credentials pass unless the inventory has access keys of its own.
  - Adds this machine's addresses, the loopback and C(aws_direct_addresses), to C(no_proxy).
  - Lets requests to the public address trust the certificate authority C(public_url_authority).
  - It is a callback, because Ansible creates callbacks in its own process before it forks a worker. An
    C(environment:) reaches only modules, and cannot unset a variable.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "environment"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._removed = environment.unset(os.environ, credentials=True)
        environment.bypass_proxies(os.environ, environment.LOOPBACK)
        # Ansible reads the user's name, and Python 3.13 finds none for a uid without a passwd entry.
        os.environ.setdefault("LOGNAME", environment.user_name())

    def v2_playbook_on_play_start(self, play: Any) -> None:
        keys_of_inventory = True
        try:
            variables = next(iter(play.get_variable_manager().get_vars(play=play)["hostvars"].values()))
            keys_of_inventory = "AWS_ACCESS_KEY_ID" in variables["aws_environment"]
            environment.bypass_proxies(os.environ, variables.get("aws_direct_addresses", []))
            trust.choose(os.environ, variables.get("public_url_authority"))
        finally:
            self._removed += environment.unset(os.environ, credentials=not keys_of_inventory)
        if self._removed:
            self._display.warning(f"These variables of the shell are not used: {', '.join(self._removed)}.")
            self._removed = []

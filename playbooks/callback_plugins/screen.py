"""Entry of `fargate_ops.screen`: what a person sees of a run of ansible-playbook."""

from __future__ import annotations

from fargate_ops.screen.callback import ScreenCallback

DOCUMENTATION = r"""
name: screen
type: stdout
short_description: One line a step, then the outcome
description:
  - Shows each step of the playbook as one line with its mark, a summary and its time, and at the end the outcome, which
    also goes to C(.local/<environment>/outcome.json) and, on GitHub, to the step's output C(outcome).
  - The complete output of Ansible's default callback goes to a file in C(.local/<environment>/log). With C(-v),
    C(--diff), C(--step), C(--start-at-task) or C(OUTPUT=ansible) it is also shown, in place of the steps.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""


class CallbackModule(ScreenCallback):
    CALLBACK_NAME = "screen"

"""The arguments of every phase of a release, a rollback and a rotation."""

from __future__ import annotations


class ModuleDocFragment:
    """What Ansible and ``argument_spec`` add to a plugin's DOCUMENTATION that names this file."""

    DOCUMENTATION = """
options:
  stack:
    description: The fact C(terraform_stack_outputs).
    required: true
    type: dict
  plan:
    description: What the phase before returned as C(plan); empty for the phase C(plan).
    default: {}
    type: dict
  limits:
    description: Bounds and pace of the waits, in seconds.
    required: true
    type: dict
    suboptions:
      flow: {description: Of the whole command., required: true, type: float}
      wait: {description: Of a rollout., required: true, type: float}
      rollback_wait: {description: Of undoing one., required: true, type: float}
      prepare_wait: {description: Of the admin task., required: true, type: float}
      poll: {description: Between two looks., required: true, type: float}
      log_grace: {description: Until the last lines of a task's log have arrived., required: true, type: float}
  bucket:
    description: The state bucket, in which ledger and lock live.
    required: true
    type: str
  environment_name:
    description: The environment.
    required: true
    type: str
  requires_lock:
    description: Whether this run has to hold the deployment lock.
    default: true
    type: bool
  verify:
    description: The settings of service_verify, by which the phase C(plan) verifies a release whose end nobody saw.
    required: true
    type: dict
    suboptions:
      source: {description: By what to verify., choices: [public, targets], required: true, type: str}
      answers: {description: Right answers in a row., required: true, type: int}
      limit_seconds: {description: For how long to ask., required: true, type: float}
  unverified:
    description: For the phase C(fail), whether it serves and only could not be seen to; then it is left serving.
    default: false
    type: bool
  notification_log:
    description: One line for each message to Slack, what came of it.
    required: true
    type: path
  why:
    description: Why, for the ledger; for the phase C(fail), why it failed.
    default: ""
    type: str
"""

"""The arguments of every phase of a release, a rollback and a rotation, beside those of ``operations``."""

from __future__ import annotations


class ModuleDocFragment:
    """See `fargate_ops.release.plugin_context`, which reads them."""

    DOCUMENTATION = """
options:
  plan: {type: dict, default: {}, description: "What the phase before returned as C(plan); empty for the first one."}
  limits:
    description: Bounds and pace of the waits, in seconds.
    type: dict
    required: true
    suboptions:
      flow: {type: float, required: true, description: "Of the whole command."}
      wait: {type: float, required: true, description: "Of a rollout."}
      rollback_wait: {type: float, required: true, description: "Of undoing one."}
      prepare_wait: {type: float, required: true, description: "Of the admin task."}
      poll: {type: float, required: true, description: "Between two looks."}
      log_grace: {type: float, required: true, description: "Until the last lines of a task's log have arrived."}
  requires_lock: {type: bool, required: true, description: "Whether this run has to hold the deployment lock."}
  verify:
    description: The settings of service_verify, by which the phase C(plan) verifies a release whose end nobody saw.
    type: dict
    required: true
    suboptions:
      source: {type: str, required: true, choices: [public, targets], description: "By what to verify."}
      answers: {type: int, required: true, description: "Right answers in a row."}
      limit_seconds: {type: float, required: true, description: "For how long to ask."}
  unverified:
    description: For the phase C(fail), whether it serves and only could not be seen to; then it is left serving.
    type: bool
    default: false
  why: {type: str, required: true, description: "Why, for the ledger; for the phase C(fail), why it failed."}
"""

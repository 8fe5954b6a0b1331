"""The arguments of every phase of a release, a rollback or a rotation, in addition to those of ``operations``."""

from __future__ import annotations


class ModuleDocFragment:
    """`fargate_ops.release.plugin_context` reads these arguments."""

    DOCUMENTATION = """
options:
  plan: {type: dict, default: {}, description: "The result C(plan) of the previous phase; empty for the first."}
  limits:
    description: Limits of the waits, in seconds.
    type: dict
    required: true
    suboptions:
      flow: {type: float, required: true, description: "For the whole command."}
      wait: {type: float, required: true, description: "For a rollout."}
      rollback_wait: {type: float, required: true, description: "For undoing a rollout."}
      prepare_wait: {type: float, required: true, description: "For the admin task."}
      poll: {type: float, required: true, description: "Between two polls."}
      log_grace: {type: float, required: true, description: "For the last lines of a task's log."}
  requires_lock: {type: bool, required: true, description: "Whether this run must hold the deployment lock."}
  verify:
    description: The settings of service_verify, with which the phase C(plan) verifies a release that nobody watched.
    type: dict
    required: true
    suboptions:
      source: {type: str, required: true, choices: [public, targets], description: "How to verify."}
      answers: {type: int, required: true, description: "Correct answers in a row."}
      limit_seconds: {type: float, required: true, description: "Seconds to try."}
  failure:
    description: For the phase C(fail), the result of the failed task. With C(unverified), the release is left serving.
    type: dict
    default: {}
  why: {type: str, required: true, description: The reason for the ledger.}
"""

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
  strategy:
    description: The release strategy; only C(ecs_release) uses another one than rolling.
    type: dict
    required: true
    suboptions:
      name: {type: str, required: true, choices: [rolling, blue_green, canary, linear], description: "The strategy."}
      canary_percent: {type: float, required: true, description: "Percent of the requests that a canary gets first."}
      canary_minutes: {type: int, required: true, description: "Minutes at that percent."}
      step_percent: {type: float, required: true, description: "Percent of the requests of a linear step."}
      step_minutes: {type: int, required: true, description: "Minutes between two steps."}
      bake_minutes: {type: int, required: true, description: "Minutes for which the old tasks run on."}
      pause: {type: bool, required: true, description: "Whether to wait for C(make promote) before users get it."}
      pause_minutes: {type: int, required: true, description: "Minutes after which ECS undoes a paused deployment."}
      test_header: {type: dict, required: true, description: "C(name) and C(value) of test requests' header."}
      smoke_checks:
        description: Test requests, each with C(path), and C(status) and C(json) of its answer.
        type: list
        elements: dict
        required: true
      minute_seconds: {type: float, required: true, description: "Seconds of a minute; fewer on the local cloud."}
  failure:
    description: For the phase C(fail), the result of the failed task. With C(unverified), the release is left serving.
    type: dict
    default: {}
  why: {type: str, required: true, description: The reason for the ledger.}
"""

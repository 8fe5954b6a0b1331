"""Set the GitHub variables that name each workflow's role. See DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from fargate_ops.github.variables import Repository, Variable, gh, unusable
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = r"""
module: github_variables
short_description: Set the GitHub variables that name each workflow's role
description:
  - Prints the variables. If C(gh) is logged in as an administrator of the repository, sets them and creates their
    GitHub environments. Check mode only prints.
options:
  repository: {type: str, required: true, description: "The repository, as owner/name."}
  wanted: {type: list, elements: dict, required: true, description: "Environment, name and value of each variable."}
  branch: {type: str, required: true, description: "The only branch that may deploy to environments created here."}
"""

RETURN = r"""
changes: {description: The variables and environments that were set., type: list, elements: str, returned: success}
remarks: {description: What a person still has to do., type: list, elements: str, returned: success}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted, repository = [Variable(**item) for item in args["wanted"]], str(args["repository"])
        if not wanted:
            self.say("  the roles are not known before the account's root is applied")
        for item in wanted:
            self.answer(f"  gh variable set --repo {repository} {item.command}")
        if self.preview or not wanted:
            return {"changes": [], "remarks": []}
        if reason := unusable(gh, repository):
            self.warn(f"  set these in GitHub, by the commands above or its settings; not set here: {reason}")
            return {"changes": [], "remarks": [reason]}
        outcome = Repository(repository, str(args["branch"]), gh).ensure(wanted)
        done = f"set {', '.join(outcome.changes)}" if outcome.changes else "nothing to change"
        self.say(f"  {repository}: {done}")
        for remark in outcome.remarks:
            self.warn(f"  {remark}")
        return {"changed": bool(outcome.changes), "changes": outcome.changes, "remarks": outcome.remarks}

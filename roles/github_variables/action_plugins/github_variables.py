"""Tell GitHub which role each workflow takes. See DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from fargate_ops.github.variables import Repository, Variable, gh, unusable
from fargate_ops.plugin.action import OperationsAction

DOCUMENTATION = r"""
module: github_variables
short_description: Tell GitHub which role each workflow takes
description:
  - Prints the variables. Sets them, and makes the environments that they belong to, where C(gh) is logged in as
    somebody who administers the repository. Check mode prints only.
options:
  repository: {type: str, required: true, description: "The repository, as owner/name."}
  wanted: {type: list, elements: dict, required: true, description: "Environment, name and value of each variable."}
  branch: {type: str, required: true, description: "The one branch that environments made here let deploy."}
"""

RETURN = r"""
changes: {description: What was set., type: list, elements: str, returned: success}
remarks: {description: What a person has to see to., type: list, elements: str, returned: success}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted, repository = [Variable(**item) for item in args["wanted"]], str(args["repository"])
        if not wanted:
            self.say("  which roles there will be is not known before the account is applied")
        for item in wanted:
            self.say(f"  gh variable set --repo {repository} {item.command}")
        if self.preview or not wanted:
            return {"changes": [], "remarks": []}
        if reason := unusable(gh, repository):
            self.warn(f"  set these in GitHub, by the commands above or its settings; not set here: {reason}")
            return {"changes": [], "remarks": [reason]}
        outcome = Repository(repository, str(args["branch"]), gh).ensure(wanted)
        done = f"set {', '.join(outcome.changes)}" if outcome.changes else "as it has to be"
        self.say(f"  {repository}: {done}")
        for remark in outcome.remarks:
            self.warn(f"  {remark}")
        return {"changed": bool(outcome.changes), "changes": outcome.changes, "remarks": outcome.remarks}

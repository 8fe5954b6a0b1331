"""Report the month's cost, its causes, and possible savings."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fargate_ops.cost.accounts import Accounts, Target
from fargate_ops.cost.publish import day, publish
from fargate_ops.cost.report import Delivery, Settings, gather
from fargate_ops.notify.slack import Assignment, Message, Notifier
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.release.measured import measured
from fargate_ops.state.four_keys import DEFINITIONS, MEANINGS
from fargate_ops.state.ledger import Ledger, LedgerError
from fargate_ops.terraform.outputs import read_outputs

DOCUMENTATION = """
---
action: cost_report
short_description: Report the month's cost, its causes, and possible savings
description:
  - Reads Cost Explorer, Compute Optimizer, CloudWatch and the services' own APIs. Writes an HTML page and a JSON file,
    prints a summary and sends it to Slack. Lists the data that AWS did not return.
  - Never reports C(changed). Check mode reads and prints, but writes no file and sends no message.
extends_documentation_fragment: [operations, operations.notification]
options:
  region: {type: str, required: true, description: "The environment's region."}
  targets:
    description: Accounts and their regions, the environment's own first.
    type: list
    elements: dict
    required: true
    suboptions:
      account_id: {type: str, required: true, description: "The account's number."}
      regions: {type: list, elements: str, required: true, description: "The account's regions."}
      role_arn: {type: str, default: "", description: "A role in that account to assume; empty for none."}
  page: {type: path, required: true, description: "Path of the HTML page."}
  file: {type: path, required: true, description: "Path of the JSON file."}
  states:
    description: The Terraform states that hold our resources.
    type: list
    elements: dict
    required: true
    suboptions:
      bucket: {type: str, required: true, description: "The state bucket."}
      key: {type: str, required: true, description: "The state's key."}
  bucket: {type: str, required: true, description: "The state bucket with the environment's ledger of releases."}
  source: {type: path, required: true, description: "The image's folder in git, whose commits are the versions."}
  today: {type: str, required: true, description: "The date of the report; empty for today in UTC."}
  metric:
    description: Cost Explorer's measure.
    type: str
    required: true
    choices: [UnblendedCost, NetUnblendedCost, AmortizedCost, NetAmortizedCost]
  services: {type: int, required: true, description: "How many services with increased costs to show."}
  idle_days: {type: int, required: true, description: "Days without use after which something is idle."}
  support_days:
    {type: int, required: true, description: "How many days before the end of standard support to report a version."}
  budget_name: {type: str, required: true, description: "The budget; empty for the account's one monthly cost budget."}
  owner_tags:
    description: Tags that name a resource's owner, in order of precedence.
    type: list
    elements: str
    required: true
  prices: {type: dict, required: true, description: "Unit prices by region, which override the built-in table."}
  paid_pages_max: {type: int, required: true, description: "Maximum of paid pages of Cost Explorer."}
  paid_metrics_max: {type: int, required: true, description: "Maximum of paid metrics of CloudWatch."}
  slack: {type: bool, required: true, description: "Whether to send a Slack message."}
"""

EXAMPLES = """
- name: Report the month's cost
  cost_report:
    environment_name: staging
    region: ap-northeast-2
    targets:
      - {account_id: "111122223333", regions: [ap-northeast-2]}
      - {account_id: "444455556666", regions: [us-east-1], role_arn: "arn:aws:iam::444455556666:role/cost-report"}
    page: .local/staging/cost/report.html
    file: .local/staging/cost/report.json
    states: [{bucket: storefront-terraform-111122223333-ap-northeast-2, key: staging/environment.tfstate}]
    bucket: storefront-terraform-111122223333-ap-northeast-2
    source: app/api
    today: ""
    metric: UnblendedCost
    services: 5
    idle_days: 14
    support_days: 90
    budget_name: ""
    owner_tags: [Owner, Team, Application]
    prices: {}
    paid_pages_max: 40
    paid_metrics_max: 2000
    slack: true
    notification_log: .local/staging/notifications.log
"""

RETURN = """
report: {type: dict, returned: always, description: "The JSON file's content."}
"""


class ActionModule(OperationsAction):
    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        settings = Settings(
            environment=self.environment,
            today=day(args["today"]),
            services_shown=args["services"],
            pages_max=args["paid_pages_max"],
            metrics_max=args["paid_metrics_max"],
            **{
                name: args[name]
                for name in ("metric", "idle_days", "support_days", "budget_name", "owner_tags", "states", "prices")
            },
        )
        os.environ.update(self.aws_environment)
        report = replace(
            gather(Accounts(), [Target(**target) for target in args["targets"]], settings),
            delivery=self._delivery(args),
        )

        def send(message: Message) -> None:
            if args["slack"]:
                webhook, log = self._webhook(args), args["notification_log"]
                Notifier(Assignment(secret_arn=webhook, region=args["region"], log=log)).send(message)

        return {"report": publish(report, args["page"], args["file"], self.answer, send, preview=self.preview)}

    def _delivery(self, args: dict[str, Any]) -> Delivery | None:
        """Return the environment's four keys; None if its ledger cannot be read."""
        ledger = Ledger(self.session(args["region"]).client("s3"), args["bucket"], self.environment)
        try:
            keys = measured(ledger.releases(), Path(args["source"]), datetime.now(UTC))
        except LedgerError as error:
            self.warn(f"  the four keys are not known: {error}")
            return None
        return Delivery(keys=keys.as_text(), meanings=MEANINGS, row=keys.as_row(), definitions=DEFINITIONS)

    def _webhook(self, args: dict[str, Any]) -> str:
        """Return the ARN of the webhook's secret from the state, or an empty string if there is none."""
        try:
            state, s3 = args["states"][0], self.session(args["region"]).client("s3")
            return str(read_outputs(s3, state["bucket"], state["key"])[0].get("slack_webhook_secret_arn", ""))
        except Exception:  # the report must not fail because its message cannot be sent
            return ""

"""Report what the month costs, why, and what could cost less."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from fargate_ops.aws.session import action_environment, aws_session
from fargate_ops.cost.accounts import Accounts, Target
from fargate_ops.cost.page import page
from fargate_ops.cost.report import Settings, gather
from fargate_ops.cost.summary import summary, text
from fargate_ops.notify.slack import Assignment, Notifier
from fargate_ops.plugin.action import OperationsAction
from fargate_ops.terraform.outputs import read_outputs

DOCUMENTATION = """
---
action: cost_report
short_description: Report what the month costs, why, and what could cost less
description:
  - Asks Cost Explorer, Compute Optimizer, CloudWatch and the services themselves; writes one HTML page and one JSON
    file, prints the essence and tells Slack. Reads only; what AWS does not answer is a named gap.
  - Never reports C(changed); in check mode it asks, and neither writes nor tells Slack.
options:
  environment_name:
    description: The environment, in whose inventory changes are made.
    required: true
    type: str
  region:
    description: The environment's region.
    required: true
    type: str
  targets:
    description: Accounts, each with C(account_id), C(regions) and, for another account, C(role_arn).
    required: true
    type: list
    elements: dict
  page:
    description: Where the HTML page goes.
    required: true
    type: path
  file:
    description: Where the JSON goes.
    required: true
    type: path
  states:
    description: Terraform's states (C(bucket), C(key)) in which resources of ours are.
    default: []
    type: list
    elements: dict
  today:
    description: The day as of which it is made, C(2026-11-24); empty for today in UTC.
    default: ""
    type: str
  metric:
    description: Cost Explorer's measure.
    default: UnblendedCost
    choices: [UnblendedCost, NetUnblendedCost, AmortizedCost, NetAmortizedCost]
    type: str
  services:
    description: How many services that rose are shown.
    default: 5
    type: int
  idle_days:
    description: For how many days nothing may have used what is called idle.
    default: 14
    type: int
  support_days:
    description: How many days before the end of standard support it is told.
    default: 90
    type: int
  budget_name:
    description: The budget; empty for the account's one monthly cost budget.
    default: ""
    type: str
  owner_tags:
    description: Tags that say whose a resource is, the first one first.
    default: [Owner, Team, Application]
    type: list
    elements: str
  prices:
    description: Unit prices by region, over those of the table.
    default: {}
    type: dict
  paid_pages_max:
    description: How many paid pages of Cost Explorer it may ask for.
    default: 40
    type: int
  paid_metrics_max:
    description: How many paid metrics of CloudWatch it may ask for.
    default: 2000
    type: int
  slack:
    description: Whether Slack is told.
    default: true
    type: bool
  notification_log:
    description: The file that says what came of the message.
    required: true
    type: path
"""

EXAMPLES = """
- name: Report what the month costs
  cost_report:
    environment_name: staging
    region: ap-northeast-2
    targets:
      - {account_id: "111122223333", regions: [ap-northeast-2]}
      - {account_id: "444455556666", regions: [us-east-1], role_arn: "arn:aws:iam::444455556666:role/cost-report"}
    page: .local/staging/cost/report.html
    file: .local/staging/cost/report.json
    notification_log: .local/staging/notifications.log
"""

RETURN = """
report:
  description: The JSON file's content.
  type: dict
  returned: always
"""

ARGUMENTS: dict[str, Any] = {
    "environment_name": {"type": "str", "required": True},
    "region": {"type": "str", "required": True},
    "targets": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "account_id": {"type": "str", "required": True},
            "regions": {"type": "list", "elements": "str", "required": True},
            "role_arn": {"type": "str", "default": ""},
        },
    },
    "page": {"type": "path", "required": True},
    "file": {"type": "path", "required": True},
    "states": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"bucket": {"type": "str", "required": True}, "key": {"type": "str", "required": True}},
    },
    "today": {"type": "str", "default": ""},
    "metric": {
        "type": "str",
        "choices": ["UnblendedCost", "NetUnblendedCost", "AmortizedCost", "NetAmortizedCost"],
        "default": "UnblendedCost",
    },
    "services": {"type": "int", "default": 5},
    "idle_days": {"type": "int", "default": 14},
    "support_days": {"type": "int", "default": 90},
    "budget_name": {"type": "str", "default": ""},
    "owner_tags": {"type": "list", "elements": "str", "default": ["Owner", "Team", "Application"]},
    "prices": {"type": "dict", "default": {}},
    "paid_pages_max": {"type": "int", "default": 40},
    "paid_metrics_max": {"type": "int", "default": 2000},
    "slack": {"type": "bool", "default": True},
    "notification_log": {"type": "path", "required": True},
}

display = Display()


class ActionModule(OperationsAction):
    """See DOCUMENTATION."""

    documentation = DOCUMENTATION
    arguments = ARGUMENTS

    def execute(self, args: dict[str, Any]) -> dict[str, Any]:
        try:
            today = date.fromisoformat(args["today"]) if args["today"] else datetime.now(UTC).date()
        except ValueError:
            raise AnsibleActionFail(
                f"cost_report_today is {args['today']!r}, not a day. Next: the same command with "
                "-e cost_report_today=2026-11-24"
            ) from None
        environment = action_environment(self)
        os.environ.update(environment)
        targets = [Target(**target) for target in args["targets"]]
        report = gather(Accounts(), targets, _settings(args, today))
        message = summary(report, args["page"])
        display.display(text(report, args["page"]))
        result = {"report": report.as_row()}
        if self.check_mode:
            display.display(f"would write {args['page']} and {args['file']}, and tell Slack: {message.summary}")
            return result
        _write(args["page"], page(report))
        _write(args["file"], json.dumps(report.as_row(), indent=2) + "\n")
        if args["slack"]:
            Notifier(
                Assignment(secret_arn=_webhook(environment, args), region=args["region"], log=args["notification_log"])
            ).send(message)
        return result


def _settings(args: dict[str, Any], today: date) -> Settings:
    return Settings(
        environment=args["environment_name"],
        today=today,
        metric=args["metric"],
        services_shown=args["services"],
        idle_days=args["idle_days"],
        support_days=args["support_days"],
        budget_name=args["budget_name"],
        owner_tags=args["owner_tags"],
        states=args["states"],
        prices=args["prices"],
        pages_max=args["paid_pages_max"],
        metrics_max=args["paid_metrics_max"],
    )


def _webhook(environment: dict[str, str], args: dict[str, Any]) -> str:
    """The webhook's secret, as the environment's state names it; empty where there is none, which the log then says."""
    try:
        state = args["states"][0]
        outputs, _ = read_outputs(aws_session(environment, args["region"]).client("s3"), state["bucket"], state["key"])
        return str(outputs.get("slack_webhook_secret_arn", ""))
    except Exception:  # a report without a message is a report
        return ""


def _write(file: str, content: str) -> None:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")

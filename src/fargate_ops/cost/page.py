"""One self-contained HTML page: style and charts are inline, and its content policy forbids any request."""

from __future__ import annotations

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fargate_ops.core.project import ROLES
from fargate_ops.cost import charts
from fargate_ops.cost.money import usd
from fargate_ops.cost.report import Report

_TEMPLATES = ROLES / "cost_report/templates"


def page(report: Report) -> str:
    """Render the page. Names and tags are untrusted text: Jinja2 and the charts escape them."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["usd"] = usd
    drawn = [
        (account, Markup(charts.daily(account, report.month)), Markup(charts.services(account)))  # noqa: S704 - ours
        for account in report.accounts
    ]
    return environment.get_template("report.html.j2").render(
        report=report,
        verdict=report.verdict,
        drawn=drawn,
        savings=Markup(charts.savings(report.recommendations)),  # noqa: S704 - ours
    )

"""The Slack message and the screen output: verdict, increases, largest recommendations, and gaps."""

from __future__ import annotations

from collections.abc import Mapping

from fargate_ops.cost.money import usd
from fargate_ops.cost.report import Report
from fargate_ops.notify.slack import Message, escape

_SHOWN = 5
_CHARACTERS = 300


def summary(report: Report, page: str) -> Message:
    """Return the Slack message. ``page`` is the path of the full report."""
    verdict = report.verdict
    mark = (
        ":large_green_circle:" if verdict.was_under else ":red_circle:" if verdict.was_under is False else ":question:"
    )
    lines = [f"{mark} *{escape(report.environment)}*: cost report of {report.month.today}", escape(verdict.sentence)]
    for account in report.accounts:
        for day in account.days[:1]:
            parts = ", ".join(f"{escape(part.name)} +{usd(part.rise)}" for part in day.parts)
            lines.append(
                f"Top day {day.day}: {usd(day.amount)} USD, {usd(day.rise)} above last month's average: {parts}"
            )
        for service in account.services[:1]:
            lines.append(f"Top service {escape(service.name)}: +{usd(service.rise)} USD ({usd(service.now)} so far)")
        lines += [
            f"Coverage fell: {item.kind} of {escape(item.service)} from {item.before} % to {item.now} %"
            for item in account.coverage
            if item.fell
        ]
    counted = [recommendation for recommendation in report.recommendations if recommendation.counted]
    for recommendation in counted[:_SHOWN]:
        text = f"{recommendation.resource}: {recommendation.problem}"[:_CHARACTERS]
        lines.append(f"• {usd(recommendation.saving or 0)} USD  {escape(text)} ({escape(recommendation.owner)})")  # type: ignore[arg-type]
    if len(counted) > _SHOWN:
        lines.append(f"… and {len(counted) - _SHOWN} more")
    if report.gaps:
        lines.append(f"Not known: {escape(', '.join(sorted({gap.what for gap in report.gaps}))[:_CHARACTERS])}")
    lines.append("; ".join(f"{name} {value}" for name, value in _delivery(report).items()))
    lines.append(f"Full report: `{escape(page)}`")
    return Message(
        summary=f"{report.environment}: cost report of {report.month.today}: {verdict.sentence.removesuffix('.')}",
        text="\n".join(lines),
    )


def text(report: Report, page: str) -> str:
    """Return the screen output, with the cost of the report itself."""
    verdict, paid = report.verdict, report.paid
    lines = [f"{report.environment}  cost report of {report.month.today}", f"  {verdict.sentence}"]
    for account in report.accounts:
        forecast = "not known" if account.forecast is None else f"{usd(account.forecast)} USD"
        lines.append(
            f"  {account.account}  {usd(account.month_to_date)} USD so far "
            f"({usd(account.same_days_before)} in the same days of last month), forecast {forecast}"
        )
        for day in account.days[:1]:
            lines.append(f"    top day      {day.day}  {usd(day.amount)} USD, {usd(day.rise)} above the average day")
        for service in account.services[:1]:
            part = f": {service.parts[0].name} +{usd(service.parts[0].rise)}" if service.parts else ""
            lines.append(f"    top service  {service.name}  +{usd(service.rise)} USD{part}")
        for item in account.coverage:
            if item.fell:
                lines.append(
                    f"    coverage     {item.kind} of {item.service} fell from {item.before} % to {item.now} %"
                )
    for recommendation in report.recommendations:
        saving = "?" if recommendation.saving is None else usd(recommendation.saving)
        where = recommendation.address or recommendation.owner
        lines.append(
            f"  {saving:>10}{' ' if recommendation.counted else '*'} "
            f"{recommendation.resource}  {recommendation.problem}  [{where}]"
        )
    if any(not recommendation.counted for recommendation in report.recommendations):
        lines.append("             * not in the total: not known, or another change of the same resource saves more")
    lines += [f"  {name:<22} {value}" for name, value in _delivery(report).items()]
    lines += [f"  ? {gap.what} ({gap.account}, {gap.region}): {gap.why}" for gap in report.gaps]
    lines.append(
        f"  paid: {paid['pages']} of at most {paid['pages_max']} pages of Cost Explorer, {paid['metrics']} of at most "
        f"{paid['metrics_max']} metrics of CloudWatch: {usd(paid['usd'])} USD"
    )
    lines.append(f"  page: {page}")
    return "\n".join(lines)


def _delivery(report: Report) -> Mapping[str, str]:
    """Return the four keys as text; one line that they are not known."""
    return report.delivery.keys if report.delivery else {"four keys": "not known"}

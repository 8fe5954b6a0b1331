"""Statements, aggregated by the database."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Text, cast, func, or_, select, true

from settlement.accounts.models import accounts
from settlement.pagination import decode_cursor, encode_cursor, invalid_cursor, split_page
from settlement.statements.schemas import AccountStatement, StatementPage
from settlement.transactions.models import transactions


def month_bounds(month: str, timezone: str) -> tuple[datetime, datetime]:
    """Return when a month (`yyyy-mm`) begins in a time zone, and when the next one begins."""
    year, number = map(int, month.split("-"))
    zone = ZoneInfo(timezone)
    next_year, next_number = divmod(year * 12 + number, 12)
    return datetime(year, number, 1, tzinfo=zone), datetime(next_year, next_number + 1, 1, tzinfo=zone)


def monthly_statements(
    connection: Connection, month: str, timezone: str, limit: int, cursor: str | None
) -> StatementPage:
    """Return one page of a month's statements, of accounts opened or with a transaction before the month's end.

    Raises InvalidInput for a cursor that this service did not issue.
    """
    start, end = month_bounds(month, timezone)
    before_end = transactions.c.occurred_at < end
    in_month = transactions.c.occurred_at >= start
    amount = transactions.c.amount

    # The page is limited before anything is summed: it costs its own accounts, not all of them.
    page = (
        select(accounts.c.id, accounts.c.name, accounts.c.currency)
        .where(
            or_(
                accounts.c.created_at < end,
                select(transactions.c.id).where(transactions.c.account_id == accounts.c.id, before_end).exists(),
            )
        )
        .order_by(accounts.c.id)
        .limit(limit + 1)
    )
    if cursor is not None:
        page = page.where(accounts.c.id > _position(cursor))
    account = page.subquery("account")
    sums = (
        select(
            cast(func.coalesce(func.sum(amount).filter(~in_month), 0), Text).label("opening_balance"),
            cast(func.coalesce(func.sum(amount).filter(in_month, amount > 0), 0), Text).label("credits"),
            cast(func.coalesce(-func.sum(amount).filter(in_month, amount < 0), 0), Text).label("debits"),
            cast(func.coalesce(func.sum(amount), 0), Text).label("closing_balance"),
            func.count().filter(in_month).label("transaction_count"),
        )
        .where(transactions.c.account_id == account.c.id, before_end)
        .lateral("sums")
    )
    rows = connection.execute(
        select(account.c.id.label("account_id"), account.c.name, account.c.currency, *sums.c)
        .select_from(account.join(sums, true()))
        .order_by(account.c.id)
    ).all()
    items, last = split_page(rows, limit)
    return StatementPage(
        month=month,
        timezone=timezone,
        starts_at=start,
        ends_at=end,
        items=[AccountStatement.model_validate(row) for row in items],
        next_cursor=None if last is None else encode_cursor(last.account_id),
    )


def _position(cursor: str) -> UUID:
    (identifier,) = decode_cursor(cursor, 1)
    try:
        return UUID(identifier)
    except ValueError as error:
        raise invalid_cursor() from error

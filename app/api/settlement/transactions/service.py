"""Transactions in the database."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from fargate_app.problems import Conflict, InvalidInput
from settlement.accounts.service import get_account
from settlement.pagination import decode_cursor, encode_cursor, invalid_cursor, split_page
from settlement.transactions.models import transactions
from settlement.transactions.schemas import TransactionIn, TransactionOut, TransactionPage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_ID = 2**63 - 1
_COLUMNS = tuple(transactions.c[name] for name in TransactionOut.model_fields)


def post_transaction(connection: Connection, key: str, transaction: TransactionIn) -> tuple[TransactionOut, bool]:
    """Post a transaction once for its key; the second value says whether this call posted it.

    The insert is one statement, committed by itself. If two calls use one key at the same time, the unique index makes
    the second wait until the first has committed (then it reads that row) or rolled back (then it inserts).

    Raises Conflict if the key was used with another body, NotFound for an unknown account, InvalidInput if
    the currency is not the account's.
    """
    values: dict[str, Any] = transaction.model_dump(exclude_none=True)
    digest = transaction.digest()
    statement = (
        insert(transactions)
        .values(**values, idempotency_key=key, request_hash=digest)
        .on_conflict_do_nothing(index_elements=[transactions.c.idempotency_key])
        .returning(*_COLUMNS)
    )
    try:
        row = connection.execute(statement).one_or_none()
    except IntegrityError:
        # The foreign key to (account, currency) failed: find out which half. Accounts never change.
        account = get_account(connection, transaction.account_id)
        raise InvalidInput(
            "currency-mismatch", f"The account is in {account.currency}, the transaction in {transaction.currency}."
        ) from None
    if row is not None:
        return TransactionOut.model_validate(row), True

    stored = connection.execute(
        select(*_COLUMNS, transactions.c.request_hash).where(transactions.c.idempotency_key == key)
    ).one()
    if stored.request_hash != digest:
        raise Conflict("idempotency-key-reused", "This Idempotency-Key was used with a different body.")
    return TransactionOut.model_validate(stored), False


def list_transactions(connection: Connection, account_id: UUID, limit: int, cursor: str | None) -> TransactionPage:
    """Return one page of an account's transactions, newest first. Raises NotFound and InvalidInput."""
    statement = (
        select(*_COLUMNS)
        .where(transactions.c.account_id == account_id)
        .order_by(transactions.c.occurred_at.desc(), transactions.c.id.desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        statement = statement.where(tuple_(transactions.c.occurred_at, transactions.c.id) < _position(cursor))
    rows = connection.execute(statement).all()
    if not rows:
        get_account(connection, account_id)
    page, last = split_page(rows, limit)
    return TransactionPage(
        items=[TransactionOut.model_validate(row) for row in page],
        next_cursor=None if last is None else _cursor(last),
    )


def _cursor(row: Row[Any]) -> str:
    return encode_cursor((row.occurred_at - _EPOCH) // timedelta(microseconds=1), row.id)


def _position(cursor: str) -> tuple[datetime, int]:
    microseconds, identifier = decode_cursor(cursor, 2)
    try:
        position = _EPOCH + timedelta(microseconds=int(microseconds)), int(identifier)
    except (ValueError, OverflowError) as error:
        raise invalid_cursor() from error
    if not 0 <= position[1] <= _MAX_ID:
        raise invalid_cursor()
    return position

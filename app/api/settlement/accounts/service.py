"""Accounts in the database."""

from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select

from fargate_app.problems import NotFound
from settlement.accounts.models import accounts
from settlement.accounts.schemas import AccountIn, AccountOut

_INSERT = insert(accounts).returning(accounts)
_SELECT = select(accounts).where(accounts.c.id == bindparam("account_id"))


def create_account(connection: Connection, account: AccountIn) -> AccountOut:
    """Open an account."""
    return AccountOut.model_validate(connection.execute(_INSERT, account.model_dump()).one())


def get_account(connection: Connection, account_id: UUID) -> AccountOut:
    """Return the account. Raises NotFound."""
    row = connection.execute(_SELECT, {"account_id": account_id}).one_or_none()
    if row is None:
        raise NotFound("account-not-found", f"There is no account {account_id}.")
    return AccountOut.model_validate(row)

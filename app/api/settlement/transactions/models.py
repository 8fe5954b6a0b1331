"""The table of transactions: rows are inserted and read, never changed."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
    func,
)

from settlement.accounts.models import accounts
from settlement.metadata import metadata

transactions = Table(
    "transactions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Rows never change, so the row itself is the stored response for its key.
    Column("idempotency_key", Text, nullable=False, unique=True),
    Column("request_hash", LargeBinary, nullable=False),
    CheckConstraint("amount <> 0", name="amount"),
    ForeignKeyConstraint(["account_id", "currency"], [accounts.c.id, accounts.c.currency]),
)

# Serves both the pages (by account, newest first) and the statements (sums by account and time, from the index alone).
Index(
    "transactions_account_id_occurred_at_id_idx",
    transactions.c.account_id,
    transactions.c.occurred_at,
    transactions.c.id,
    postgresql_include=["amount"],
)

"""The table of accounts."""

from sqlalchemy import CheckConstraint, Column, DateTime, Table, Text, UniqueConstraint, Uuid, func

from settlement.metadata import metadata

accounts = Table(
    "accounts",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("name", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    # A transaction's foreign key refers to this, so its currency is always its account's.
    UniqueConstraint("id", "currency"),
)

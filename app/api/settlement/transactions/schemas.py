"""Requests and responses of the transactions API."""

import hashlib
import json
from typing import Annotated
from uuid import UUID

from fastapi import Header
from pydantic import BaseModel, ConfigDict, Field

from settlement.pagination import Page
from settlement.types import Amount, Currency, Instant, Text, UtcDatetime

# https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/: opaque, visible ASCII.
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        pattern="^[!-~]{1,255}$",
        description="Chosen by the client: a new key for each transaction, the same key for its retries.",
    ),
]


class TransactionIn(BaseModel):
    """A transaction to post."""

    model_config = ConfigDict(extra="forbid")

    account_id: UUID
    amount: Amount
    currency: Currency
    description: Annotated[Text, Field(max_length=500)] = ""
    occurred_at: Annotated[Instant | None, Field(description="When the transaction took place; now by default.")] = None

    def digest(self) -> bytes:
        """Return the SHA-256 of the validated body, by which two requests are the same.

        Fields at their defaults are left out, so that a field added later does not change old digests.
        """
        body = self.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()


class TransactionOut(BaseModel):
    """A posted transaction."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    account_id: UUID
    amount: int
    currency: str
    description: str
    occurred_at: UtcDatetime
    created_at: UtcDatetime


class TransactionPage(Page):
    """Transactions of one account, newest first."""

    items: list[TransactionOut]

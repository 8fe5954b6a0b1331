"""Responses of the statements API."""

from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import BaseModel, ConfigDict

from settlement.pagination import Page
from settlement.types import Sum, UtcDatetime

Month = Annotated[
    str, Path(pattern="^20[0-9]{2}-(0[1-9]|1[0-2])$", examples=["2026-01"], description="A month as yyyy-mm.")
]


class AccountStatement(BaseModel):
    """One account's month, in minor units of its currency: closing = opening + credits - debits."""

    model_config = ConfigDict(from_attributes=True)

    account_id: UUID
    name: str
    currency: str
    opening_balance: Sum
    credits: Sum
    debits: Sum
    closing_balance: Sum
    transaction_count: int


class StatementPage(Page):
    """A month's statements by account. The month is from `starts_at` to before `ends_at`."""

    month: str
    timezone: str
    starts_at: UtcDatetime
    ends_at: UtcDatetime
    items: list[AccountStatement]

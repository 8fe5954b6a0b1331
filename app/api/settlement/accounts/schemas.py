"""Requests and responses of the accounts API."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from settlement.types import Currency, Name, UtcDatetime


class AccountIn(BaseModel):
    """A new account."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Name, Field(min_length=1, max_length=200)]
    currency: Currency


class AccountOut(BaseModel):
    """An account."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    currency: str
    created_at: UtcDatetime

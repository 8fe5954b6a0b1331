"""Field types that several features of the API use."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from settlement.currencies import CURRENCIES

# The largest integer that every JSON reader keeps exact (RFC 8259, section 6).
MAX_AMOUNT = 2**53 - 1
FIRST_INSTANT = datetime(2000, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(2100, 1, 1, tzinfo=UTC)


def _printable(text: str) -> str:
    # PostgreSQL's text cannot hold U+0000 or a lone surrogate; other control characters do not belong in a name.
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValueError("must not contain control characters or lone surrogates")
    return text


def _iso_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("must be an ISO 4217 currency code, for example KRW")
    return code


def _not_zero(amount: int) -> int:
    if amount == 0:
        raise ValueError("must not be zero")
    return amount


def _in_range(instant: datetime) -> datetime:
    if not FIRST_INSTANT <= instant < LAST_INSTANT:
        raise ValueError(f"must be from {FIRST_INSTANT:%Y-%m-%d} to before {LAST_INSTANT:%Y-%m-%d}")
    return instant.astimezone(UTC)


def _to_utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


PrintableText = Annotated[str, AfterValidator(_printable)]
Currency = Annotated[
    str, Field(pattern="^[A-Z]{3}$", examples=["KRW"], description="ISO 4217 code."), AfterValidator(_iso_currency)
]
Amount = Annotated[
    int,
    Field(
        strict=True,
        ge=-MAX_AMOUNT,
        le=MAX_AMOUNT,
        examples=[1000],
        description="Minor units of the currency (won, cents); positive is a credit, negative a debit, never zero.",
    ),
    AfterValidator(_not_zero),
]
Instant = Annotated[AwareDatetime, AfterValidator(_in_range)]
UtcDatetime = Annotated[datetime, AfterValidator(_to_utc)]

"""Field types that several features of the API use.

A rule is a pattern, or stands in the type's JSON schema, wherever JSON Schema can express it: clients read the rules in
the OpenAPI document.
"""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from typing_extensions import TypeAliasType

from settlement.currencies import CURRENCIES

# The largest integer that every JSON reader keeps exact (RFC 8259, section 6).
MAX_AMOUNT = 2**53 - 1

# These patterns mean the same to Python, to pydantic's Rust and to JSON Schema's ECMAScript.
# Control characters, which PostgreSQL (U+0000) or a log cannot hold, and Unicode's Bidi_Control, which make a text look
# like another one: https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
_FORBIDDEN = r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Spaces, separators, invisible characters and fillers.
_BLANK = (
    r"\u0020\u00a0\u00ad\u115f\u1160\u1680\u2000-\u200d\u2028\u2029\u202f\u205f\u2060\u2800\u3000\u3164\ufeff\uffa0"
)
# RFC 3339's date-time, of the years whose months have statements.
_DATE_TIME = (
    "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    "[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_IS_DATE_TIME = re.compile(_DATE_TIME).fullmatch


def _iso_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("must be an ISO 4217 currency code, for example KRW")
    return code


def _not_zero(amount: int) -> int:
    if amount == 0:
        raise ValueError("must not be zero")
    return amount


def _date_time(value: object) -> object:
    # pydantic also reads numbers, dates and other forms.
    if isinstance(value, datetime) or (isinstance(value, str) and _IS_DATE_TIME(value)):
        return value
    raise ValueError(
        "must be an RFC 3339 date-time of the years 2000 to 2099 with its offset, for example 2026-01-31T23:59:59+09:00"
    )


def _to_utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


Text = Annotated[str, Field(pattern=f"^[^{_FORBIDDEN}]*$")]
Name = Annotated[str, Field(pattern=f"^[^{_FORBIDDEN}]*[^{_FORBIDDEN}{_BLANK}][^{_FORBIDDEN}]*$")]
Currency = TypeAliasType(
    "Currency",
    Annotated[
        str,
        Field(
            json_schema_extra={"enum": sorted(CURRENCIES)},
            examples=["KRW"],
            description="ISO 4217 code of a currency in use.",
        ),
        AfterValidator(_iso_currency),
    ],
)
Amount = Annotated[
    int,
    Field(
        strict=True,
        ge=-MAX_AMOUNT,
        le=MAX_AMOUNT,
        json_schema_extra={"not": {"const": 0}},
        examples=[1000],
        description="Minor units of the currency (won, cents); positive is a credit, negative a debit, never zero.",
    ),
    AfterValidator(_not_zero),
]
Sum = Annotated[
    str,
    Field(
        pattern="^(0|-?[1-9][0-9]*)$",
        examples=["5400"],
        description="Minor units, as a decimal string: a sum can exceed the integers that JSON readers keep exact.",
    ),
]
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_date_time),
    AfterValidator(_to_utc),
    Field(json_schema_extra={"pattern": _DATE_TIME}, examples=["2026-01-31T23:59:59+09:00"]),
]
UtcDatetime = Annotated[datetime, AfterValidator(_to_utc)]

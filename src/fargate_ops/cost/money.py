"""US dollars, exactly: `decimal.Decimal` from the API's text to the page, rounded to the cent once, half up."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
ZERO = Decimal("0.00")


def cents(amount: Decimal) -> Decimal:
    """`amount` to the cent, half up, as an invoice does."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def exact(number: str | float) -> Decimal:
    """A number of an API's JSON as it was written: a float's shortest text is what was sent."""
    return Decimal(str(number))


def usd(amount: Decimal) -> str:
    """``1,234.50``, with the sign of what is below nothing."""
    return f"{cents(amount):,}"


def percent(now: Decimal, before: Decimal) -> Decimal | None:
    """By how many per cent `now` is above `before`, to a tenth; None when there was nothing before."""
    if before <= 0:
        return None
    return ((now - before) * 100 / before).quantize(Decimal("0.1"), ROUND_HALF_UP)

"""US dollars as `decimal.Decimal`, from the API's text to the page; rounded to the cent once, half up."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
ZERO = Decimal("0.00")


def cents(amount: Decimal) -> Decimal:
    """Round to the cent, half up, like an invoice."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def exact(number: str | float) -> Decimal:
    """Return a number of an API's JSON exactly as sent: a float's shortest text is the sent one."""
    return Decimal(str(number))


def usd(amount: Decimal) -> str:
    """Format as ``1,234.50``."""
    return f"{cents(amount):,}"


def percent(now: Decimal, before: Decimal) -> Decimal | None:
    """Return by how many per cent `now` exceeds `before`, to a tenth; None if `before` is not positive."""
    if before <= 0:
        return None
    return ((now - before) * 100 / before).quantize(Decimal("0.1"), ROUND_HALF_UP)

"""Stripe's amounts: integers in the currency's smallest unit, which is not always a hundredth. Pure."""

from decimal import Decimal
from typing import Any

from connectors.fields import decimal_value
from vitals.errors import BadRecordError

# docs.stripe.com/currencies. Two special cases keep hundredths although they have none in use: isk and ugx.
_ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
)
_THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))


def major_units(amount: Any, currency: Any) -> Decimal:
    """An amount in the currency's major unit, exactly.

    >>> major_units(420000, "eur"), major_units(5000, "jpy"), major_units(1234, "KWD")
    (Decimal('4200.00'), Decimal('5000'), Decimal('1.234'))
    """
    if not isinstance(currency, str) or not currency:
        raise BadRecordError(f"currency is not a code: {currency!r}.")
    code = currency.lower()
    return decimal_value(amount, "amount").scaleb(-(0 if code in _ZERO_DECIMAL else 3 if code in _THREE_DECIMAL else 2))

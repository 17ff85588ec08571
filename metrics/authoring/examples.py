"""The two words of a metric's runnable example: events as they could happen, and the window values that they give."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from metrics.authoring.evaluation import evaluate, event_table
from metrics.contract import Grain, Metric

MORNING = "2026-11-22 09:00"


def event(
    kind: str,
    at: str = MORNING,
    /,
    *,
    account: str = "acme",
    user: str | None = None,
    value: str | None = None,
    **properties: str,
) -> Mapping[str, Any]:
    """An event at an instant in UTC.

    >>> event("billing.invoice_paid", value="19.99", currency="eur")["properties"]
    {'currency': 'eur'}
    """
    return {
        "account_id": account,
        "user_id": user,
        "kind": kind,
        "source": "example",
        "event_time": datetime.fromisoformat(at).replace(tzinfo=UTC),
        "value": None if value is None else Decimal(value),
        "properties": properties,
    }


def values(metric: Metric, *events: Mapping[str, Any], grain: Grain = "day") -> list[str]:
    """The value of every window that the events give, one text a window. Of events at one instant the last is newest.

    >>> from metrics.product_events import METRIC
    >>> values(METRIC, event("product.feature_used"), event("product.feature_used", account="blue"))
    ['acme 2026-11-22: 1', 'blue 2026-11-22: 1']
    """
    named = [{"event_id": f"{number:09d}", **each} for number, each in enumerate(events)]
    return [
        f"{each.account_id} {window_text(grain, each.window_start)}: {number_text(each.value)}"
        for each in evaluate(metric, grain, event_table(named))
    ]


def window_text(grain: Grain, window_start: datetime) -> str:
    """A window's start as people read it: no time of day where every window begins at midnight."""
    return f"{window_start:%Y-%m-%d}" if grain == "day" else f"{window_start:%Y-%m-%d %H:%M}"


def number_text(value: Decimal) -> str:
    """A decimal without the zeros that its column adds.

    >>> number_text(Decimal("1200.500000"))
    '1200.5'
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

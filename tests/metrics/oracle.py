"""Every metric once more, in plain Python over dictionaries: no Ibis, no SQL.

`ORACLES` says for each metric which events count and what of them is measured, written from its description and not
from its expression.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Event = Mapping[str, Any]
Measured = Decimal | str | None
Windows = dict[tuple[str, datetime], Decimal]


@dataclass(frozen=True)
class Oracle:
    """`kinds` of events, how their measures merge, and what `measured` gives of one: None leaves the event out."""

    merge: str
    kinds: frozenset[str]
    measured: Callable[[Event], Measured]

    def windows(self, events: Iterable[Event], grain: str) -> Windows:
        """Value of every (account, window start)."""
        gathered: dict[tuple[str, datetime], list[tuple[datetime, str, Any]]] = {}
        for event in events:
            measure = self.measured(event) if event["kind"] in self.kinds else None
            if measure is not None:
                key = event["account_id"], start_of(event["event_time"], grain)
                gathered.setdefault(key, []).append((event["event_time"], event["event_id"], measure))
        return {key: self._merged(found) for key, found in gathered.items()}

    def _merged(self, found: list[tuple[datetime, str, Any]]) -> Decimal:
        measures = [measure for _, _, measure in found]
        match self.merge:
            case "count":
                return Decimal(len(measures))
            case "sum":
                return sum(measures, Decimal(0))
            case "min":
                return Decimal(min(measures))
            case "max":
                return Decimal(max(measures))
            case "distinct":
                return Decimal(len(set(measures)))
            case "last":
                return Decimal(max(found)[2])
        raise AssertionError(self.merge)


def start_of(instant: datetime, grain: str) -> datetime:
    """Start of the window that an instant lies in."""
    smaller = {"minute": {}, "hour": {"minute": 0}, "day": {"hour": 0, "minute": 0}}[grain]
    return instant.replace(second=0, microsecond=0, **smaller)


def each(event: Event) -> str:
    return "counts"


def value(event: Event) -> Decimal | None:
    found: Decimal | None = event["value"]
    return found


def known_value(event: Event) -> str | None:
    return None if event["value"] is None else "counts"


def value_between(lowest: int | None, highest: int | None) -> Callable[[Event], str | None]:
    def read(event: Event) -> str | None:
        found = event["value"]
        outside = found is None or (lowest is not None and found < lowest) or (highest is not None and found > highest)
        return None if outside else "counts"

    return read


def user(event: Event) -> str | None:
    found: str | None = event["user_id"]
    return found


def text(name: str) -> Callable[[Event], str | None]:
    return lambda event: event["properties"].get(name)


def number(name: str) -> Callable[[Event], Decimal | None]:
    def read(event: Event) -> Decimal | None:
        try:
            return Decimal(event["properties"][name])
        except (KeyError, InvalidOperation):
            return None

    return read


def only(name: str, *texts: str) -> Callable[[Event], str | None]:
    return lambda event: "counts" if event["properties"].get(name) in texts else None


def oracle(merge: str, kinds: str, measured: Callable[[Event], Measured] = each) -> Oracle:
    return Oracle(merge, frozenset(kinds.split()), measured)


PRODUCT = "product.feature_used product.event_tracked"

ORACLES: Mapping[str, Oracle] = {
    "billing.amount_failed": oracle("sum", "billing.payment_failed", value),
    "billing.currencies": oracle("distinct", "billing.invoice_paid", text("currency")),
    "billing.failed_attempts": oracle("max", "billing.payment_failed", number("attempt")),
    "billing.invoiced_amount": oracle("sum", "billing.invoice_paid", value),
    "billing.invoices_paid": oracle("count", "billing.invoice_paid"),
    "billing.last_invoice_amount": oracle("last", "billing.invoice_paid", value),
    "billing.payments_failed": oracle("count", "billing.payment_failed"),
    "billing.seats": oracle("last", "billing.invoice_paid billing.subscription_canceled", number("seats")),
    "billing.smallest_invoice": oracle("min", "billing.invoice_paid", value),
    "billing.subscriptions_canceled": oracle("count", "billing.subscription_canceled"),
    "billing.subscriptions_started": oracle("count", "billing.subscription_started"),
    "crm.account_changes": oracle("count", "crm.account_updated"),
    "crm.accounts_created": oracle("count", "crm.account_created"),
    "crm.accounts_deleted": oracle("count", "crm.account_deleted"),
    "crm.amount_lost": oracle("sum", "crm.opportunity_lost", value),
    "crm.amount_won": oracle("sum", "crm.opportunity_won", value),
    "crm.champions_left": oracle(
        "count",
        "crm.stakeholder_set",
        lambda event: (
            "counts"
            if event["properties"].get("role") == "champion" and event["properties"].get("status") == "left"
            else None
        ),
    ),
    "crm.nps_answers": oracle("count", "crm.nps_answered", known_value),
    "crm.nps_detractors": oracle("count", "crm.nps_answered", value_between(None, 6)),
    "crm.nps_promoters": oracle("count", "crm.nps_answered", value_between(9, None)),
    "crm.nps_score_sum": oracle("sum", "crm.nps_answered", value),
    "crm.opportunities_created": oracle("count", "crm.opportunity_created"),
    "crm.opportunities_lost": oracle("count", "crm.opportunity_lost"),
    "crm.opportunities_won": oracle("count", "crm.opportunity_won"),
    "crm.pulse": oracle("last", "crm.pulse_recorded", value),
    "crm.stakeholder_touches": oracle("count", "crm.stakeholder_touched"),
    "crm.stakeholders_touched": oracle("distinct", "crm.stakeholder_touched", user),
    "product.active_users": oracle("distinct", PRODUCT, user),
    "product.event_names": oracle("distinct", "product.event_tracked", text("event")),
    "product.events": oracle("count", PRODUCT),
    "product.features_used": oracle("distinct", "product.feature_used", text("feature")),
    "product.files_changed": oracle("sum", "product.feature_used", number("files")),
    "product.page_views": oracle("count", "product.event_tracked", only("event", "Loaded a Page")),
    "product.value": oracle("sum", "product.feature_used", value),
    "support.csat_answers": oracle(
        "count", "support.csat_answered", lambda event: None if event["value"] is None else "counts"
    ),
    "support.csat_dissatisfied": oracle("count", "support.csat_answered", value_between(None, 2)),
    "support.csat_score_sum": oracle("sum", "support.csat_answered", value),
    "support.high_priority_tickets_opened": oracle(
        "count", "support.ticket_opened", only("priority", "high", "urgent")
    ),
    "support.longest_resolution_seconds": oracle("max", "support.ticket_solved", value),
    "support.requesters": oracle("distinct", "support.ticket_opened", user),
    "support.resolution_seconds": oracle("sum", "support.ticket_solved", value),
    "support.tickets_opened": oracle("count", "support.ticket_opened"),
    "support.tickets_solved": oracle("count", "support.ticket_solved"),
}

"""A Stripe subscription as the terms of a contract: what it is worth a year, and until when. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.contract import Mapped, MappedEvent, State
from connectors.fields import decimal_value, epoch_instant, iso, required, text
from connectors.stripe.money import major_units

_A_YEAR: Mapping[str, int] = {"year": 1, "month": 12, "week": 52, "day": 365}
# No money is owed for these: not begun, never paid for, or on trial.
_NO_CONTRACT = frozenset({"incomplete", "incomplete_expired", "trialing"})

KIND = "billing.contract_set"


def terms_entry(subscription_id: object) -> str:
    """The state entry of the newest terms that were told, and when they began to hold."""
    return f"terms/{subscription_id}"


def told_at_start(subscription: Mapping[str, Any], account: str | None, state: State) -> Mapped:
    """The terms from the subscription's beginning on, as they are now; its end too where it has ended.

    A list does not tell what the terms were before: they are put to the beginning, and the property `event_time_of`
    says so.
    """
    if subscription.get("status") in _NO_CONTRACT:
        return Mapped()
    started = subscription.get("start_date") or required(subscription, "created")
    start = epoch_instant(started, "start_date")
    ended = subscription.get("status") == "canceled"
    events = (
        _event(subscription, account, start, "", _value(subscription), {"event_time_of": "start"}),
        *((_ended(subscription, account),) if ended else ()),
    )
    at = events[-1].event_time
    return Mapped(events=events, state=_newest(subscription, events[-1], at, state))


def told_by_change(subscription: Mapping[str, Any], account: str | None, at: datetime, state: State) -> Mapped:
    """The terms from a change on, where they are not the ones told before."""
    if subscription.get("status") in _NO_CONTRACT:
        return Mapped()
    event = _event(subscription, account, at, iso(at), _value(subscription))
    entry = state.get(terms_entry(required(subscription, "id")))
    # What was overtaken by newer terms is told still: from its own time on, until theirs.
    if entry is not None and datetime.fromisoformat(entry["at"]) <= at and entry["terms"] == _terms(event):
        return Mapped()
    return Mapped(events=(event,), state=_newest(subscription, event, at, state))


def told_at_end(subscription: Mapping[str, Any], account: str | None, state: State) -> Mapped:
    """Nothing a year, from the end of the service on."""
    event = _ended(subscription, account)
    return Mapped(events=(event,), state=_newest(subscription, event, event.event_time, state))


def _ended(subscription: Mapping[str, Any], account: str | None) -> MappedEvent:
    at = epoch_instant(subscription.get("ended_at") or required(subscription, "canceled_at"), "ended_at")
    return _event(subscription, account, at, "ended", Decimal(0))


def _event(
    subscription: Mapping[str, Any],
    account: str | None,
    at: datetime,
    occurrence: str,
    value: Decimal | None,
    more: Mapping[str, str] | None = None,
) -> MappedEvent:
    name = str(required(subscription, "id"))
    properties = {"contract": name, **(more or {})}
    currency = text(subscription.get("currency"))
    if currency:
        properties["currency"] = currency.upper()
    started = subscription.get("start_date")
    if started is not None:
        properties["start"] = _day(started, "start_date")
    end = _end(subscription)
    if end is not None:
        properties["end"] = end
    ending = bool(subscription.get("cancel_at") or subscription.get("cancel_at_period_end"))
    properties["auto_renew"] = "false" if ending or value == 0 else "true"
    return MappedEvent(
        kind=KIND,
        object_type="subscription",
        source_id=name,
        event_time=at,
        account_ref=account,
        occurrence=occurrence,
        value=value,
        properties=properties,
    )


def _terms(event: MappedEvent) -> list[str]:
    told = {name: text for name, text in event.properties.items() if name != "event_time_of"}
    return [str(event.value), *(f"{name}={text}" for name, text in sorted(told.items()))]


def _newest(subscription: Mapping[str, Any], event: MappedEvent, at: datetime, state: State) -> dict[str, Any]:
    entry = terms_entry(required(subscription, "id"))
    before = state.get(entry)
    if before is not None and datetime.fromisoformat(before["at"]) > at:
        return {}
    return {entry: {"at": iso(at), "terms": _terms(event)}}


def _items(subscription: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = subscription.get("items")
    found = items.get("data") if isinstance(items, Mapping) else None
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _value(subscription: Mapping[str, Any]) -> Decimal | None:
    """Major units a year; None where a price is metered or tiered, so that nobody knows before the invoice."""
    total = Decimal(0)
    items = _items(subscription)
    for item in items:
        price = item.get("price")
        recurring = price.get("recurring") if isinstance(price, Mapping) else None
        if not isinstance(price, Mapping) or not isinstance(recurring, Mapping):
            return None
        amount = price.get("unit_amount_decimal") or price.get("unit_amount")
        quantity, times = item.get("quantity"), _A_YEAR.get(str(recurring.get("interval")))
        if amount is None or quantity is None or times is None:
            return None
        every = decimal_value(recurring.get("interval_count") or 1, "interval_count")
        yearly = decimal_value(amount, "unit_amount") * decimal_value(quantity, "quantity") * times / every
        total += major_units(yearly, price.get("currency") or subscription.get("currency"))
    return total if items else None


def _end(subscription: Mapping[str, Any]) -> str | None:
    """The day of a cancellation that is ordered, else of the next renewal where that is a year's.

    A month's or week's end is no date that anybody plans for, and every invoice moves it.
    """
    if subscription.get("cancel_at"):
        return _day(subscription["cancel_at"], "cancel_at")
    ends = [item.get("current_period_end") or subscription.get("current_period_end") for item in _items(subscription)]
    yearly = {_interval(item) for item in _items(subscription)} == {"year"}
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends) or not (subscription.get("cancel_at_period_end") or yearly):
        return None
    return _day(min(known), "current_period_end")


def _interval(item: Mapping[str, Any]) -> str | None:
    price = item.get("price")
    recurring = price.get("recurring") if isinstance(price, Mapping) else None
    return text(recurring.get("interval")) if isinstance(recurring, Mapping) else None


def _day(seconds: Any, name: str) -> str:
    """The day of an instant in UTC; what ends at midnight ends on that day."""
    return epoch_instant(seconds, name).date().isoformat()

"""Events that tell a contract's terms, as rows of `account_contracts`. Pure."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from sinks.delivery import canonical_account_id
from sinks.timescale.columns import Column, plain, quoted
from vitals.errors import BadRecordError

CONTRACT_KINDS = frozenset({"crm.contract_set", "billing.contract_set"})

CONTRACT_COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "account_id": plain,
        "domain": quoted,
        "contract": quoted,
        "valid_from": plain,
        "source": quoted,
        "annual_value": plain,
        "currency": quoted,
        "starts": plain,
        "ends": plain,
        "notice_days": plain,
        "auto_renew": plain,
    }
)
"""The first four are the key."""


def contract_row(event: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The terms that an event tells; None where it tells of something else.

    Raises:
        BadRecordError: a property is not what its name says.
    """
    kind = event["kind"]
    if kind not in CONTRACT_KINDS:
        return None
    told = event["properties"]
    currency = told.get("currency")
    return (
        canonical_account_id(event["account_id"]),
        kind.partition(".")[0],
        told.get("contract", ""),
        event["event_time"],
        event["source"],
        event["value"],
        None if currency is None else currency.upper(),
        day_of(told["start"], "start") if "start" in told else None,
        day_of(told["end"], "end") if "end" in told else None,
        _days(told["notice_days"]) if "notice_days" in told else None,
        _truth(told["auto_renew"]) if "auto_renew" in told else None,
    )


def day_of(text: str, name: str) -> date:
    """A day as it is written in records.

    Raises:
        BadRecordError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadRecordError(f"{name} is not a day such as 2027-01-31: {text!r}.") from error


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise BadRecordError(f"notice_days is not a number of days: {text!r}.")
    return int(text)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise BadRecordError(f"auto_renew is neither true nor false: {text!r}.")
    return text == "true"

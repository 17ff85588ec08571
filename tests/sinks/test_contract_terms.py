"""Terms of a contract as a row: only what is one, and a malformed property is a bad record and not a wrong row."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sinks.timescale.contract_terms import CONTRACT_COLUMNS, contract_row
from vitals.errors import BadRecordError

ACCOUNT = "431e271e-e83c-5848-a23d-7f5f8d92d9be"
AT = datetime(2026, 11, 20, tzinfo=UTC)


def row(kind: str = "billing.contract_set", **properties: str) -> dict[str, Any] | None:
    found = contract_row(
        {"account_id": ACCOUNT.upper(), "kind": kind, "event_time": AT, "source": "stripe", "value": Decimal(12),
         "properties": properties}
    )  # fmt: skip
    return None if found is None else dict(zip(CONTRACT_COLUMNS, found, strict=True))


def test_a_row_has_what_the_event_tells() -> None:
    told = {"contract": "sub_1", "start": "2026-01-01", "end": "2027-01-01", "notice_days": "60", "auto_renew": "false"}
    assert row(currency="usd", **told) == {
        "account_id": ACCOUNT, "domain": "billing", "contract": "sub_1", "valid_from": AT, "source": "stripe",
        "annual_value": Decimal(12), "currency": "USD", "starts": date(2026, 1, 1), "ends": date(2027, 1, 1),
        "notice_days": 60, "auto_renew": False,
    }  # fmt: skip
    bare = row("crm.contract_set")
    assert bare is not None
    assert (bare["domain"], bare["contract"], bare["ends"], bare["auto_renew"]) == ("crm", "", None, None)


def test_other_events_are_no_rows() -> None:
    assert row("billing.invoice_paid") is None


@pytest.mark.parametrize(
    "wrong",
    [{"start": "soon"}, {"end": "2027-13-01"}, {"notice_days": "-1"}, {"notice_days": "1e3"}, {"auto_renew": "1"}],
)
def test_a_malformed_property_is_named(wrong: dict[str, str]) -> None:
    with pytest.raises(BadRecordError, match=next(iter(wrong))):
        row(**wrong)

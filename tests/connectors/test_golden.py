"""Every golden pair beside a connector."""

from pathlib import Path

import orjson
import pytest

from connectors.catalogue import connector_modules
from connectors.contract import Stream
from connectors.simulation.faults import VENDORS
from tests.connectors import golden
from tests.connectors.simulated import SIMULATOR_URL
from vitals.settings import Settings

SIMULATED = [name for name in connector_modules() if name in VENDORS]


@pytest.fixture(scope="module")
def streams() -> dict[str, Stream]:
    settings = Settings(simulator_url=SIMULATOR_URL)
    return {stream.name: stream for name in SIMULATED for stream in connector_modules()[name].create(settings)}


@pytest.mark.parametrize("path", golden.files(), ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_golden_pair(path: Path, streams: dict[str, Stream]) -> None:
    case = orjson.loads(path.read_bytes())
    expected = {key: case[key] for key in ("mapped", "error") if key in case}
    stream = streams[case["stream"]]
    assert stream.source == path.parent.parent.name
    assert golden.answer(stream, case) == expected
    assert golden.answer(stream, case) == expected, "mapping is pure: the second time gives the same"


def test_every_stream_has_golden_pairs(streams: dict[str, Stream]) -> None:
    covered = {orjson.loads(path.read_bytes())["stream"] for path in golden.files()}
    assert covered == set(streams)


def test_golden_pairs_show_every_kind_and_a_bad_record_of_each_source(streams: dict[str, Stream]) -> None:
    cases = [orjson.loads(path.read_bytes()) for path in golden.files()]
    kinds = {event["kind"] for case in cases for event in case.get("mapped", {}).get("events", ())}
    assert kinds == {
        "crm.account_created",
        "crm.account_updated",
        "crm.account_deleted",
        "crm.opportunity_created",
        "crm.opportunity_won",
        "crm.opportunity_lost",
        "support.ticket_opened",
        "support.ticket_solved",
        "product.feature_used",
        "product.event_tracked",
        "billing.subscription_started",
        "billing.subscription_canceled",
        "billing.invoice_paid",
        "billing.payment_failed",
    }
    assert {streams[case["stream"]].source for case in cases if "error" in case} == set(SIMULATED)

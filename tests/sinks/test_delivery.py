"""What a sink takes of a topic that it shares with others."""

from typing import Any

import pytest

from sinks.delivery import EVENTS_BILLING, EVENTS_CRM, IDENTITIES, Message, Source, read
from vitals.errors import BadRecordError


class Decoded:
    """A serde whose messages are what the test says."""

    def __init__(self, name: str, record: dict[str, Any]) -> None:
        self._decoded = name, record

    def decode(self, _value: bytes) -> tuple[str, dict[str, Any]]:
        return self._decoded


def deliver(name: str) -> Any:
    message = Message(Source(IDENTITIES, 3), 7, b"key", b"value")
    return read(Decoded(name, {"account_id": "a"}), message)  # type: ignore[arg-type]


def test_of_identities_a_sink_takes_the_merges_and_passes_over_the_rest() -> None:
    assert deliver("AccountAlias").record == {"account_id": "a"}
    assert [deliver(name) for name in ("Identity", "IdentityClaim", "Progress")] == [None] * 3


def test_what_does_not_belong_on_identities_is_no_record_of_it() -> None:
    with pytest.raises(BadRecordError, match="does not belong"):
        deliver("Event")


class Unreadable:
    """A serde that can read nothing."""

    def decode(self, _value: bytes) -> tuple[str, dict[str, Any]]:
        raise BadRecordError("not Avro")


@pytest.mark.parametrize("topic", [EVENTS_CRM, EVENTS_BILLING])
def test_of_events_a_sink_takes_what_it_can_read_and_leaves_the_rest_to_the_rollup(topic: str) -> None:
    message = Message(Source(topic, 3), 7, b"key", b"value")
    event = read(Decoded("Event", {"kind": "crm.contract_set"}), message)  # type: ignore[arg-type]
    assert event is not None
    assert event.record == {"kind": "crm.contract_set"}
    assert read(Decoded("Progress", {}), message) is None  # type: ignore[arg-type]
    assert read(Unreadable(), message) is None  # type: ignore[arg-type]
    with pytest.raises(BadRecordError, match="not Avro"):
        read(Unreadable(), Message(Source(IDENTITIES, 3), 7, b"key", b"value"))  # type: ignore[arg-type]

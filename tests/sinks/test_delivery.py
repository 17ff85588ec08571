"""What a sink takes of a topic that it shares with others."""

from typing import Any

import pytest

from sinks.delivery import IDENTITIES, Message, Source, read
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

"""Wrong input on the running pipeline: each has its own place to end in, is counted, and stops nothing."""

import struct
from collections.abc import Iterator
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.acceptance.deployment import FATES, Deployment, eventually
from tests.collect.topics import Topic
from vitals.avro import schema_text, subject

UNKNOWN_SCHEMA_ID = 2_000_000
PARTITION = 3


@pytest.fixture(autouse=True)
def _nothing_stops(vitals: Deployment) -> Iterator[None]:
    """After whatever was wrong, every process is the same one and ready, and the next good event counts."""
    yield
    vitals.assert_undisturbed()
    before = vitals.figures()
    used_at = vitals.get("accounts", limit=1)["items"][0]["account_id"]
    vitals.track(**feature_used(vitals.account(used_at)["crm_id"]))
    vitals.await_figures(before, events_in=1, counted=1)
    vitals.assert_undisturbed()


def feature_used(company: str) -> dict[str, object]:
    """A valid call."""
    return {
        "messageId": str(uuid4()),
        "userId": "acceptance",
        "event": "Feature Used",
        "properties": {"company_id": company, "feature": "search", "lines_changed": 1},
    }


def foreign(figures: dict[str, int]) -> int:
    """Records that ended somewhere although no connector had published them."""
    return sum(figures[fate] for fate in FATES) - figures["events_in"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (bytes(range(200, 256)), "Not in the Confluent wire format"),
        (struct.pack(">bI", 0, UNKNOWN_SCHEMA_ID) + b"body", f"Schema id {UNKNOWN_SCHEMA_ID} is not in the registry."),
    ],
    ids=["random bytes", "unknown schema"],
)
def test_an_unreadable_record_is_a_dead_letter_with_its_position(
    vitals: Deployment, message: bytes, reason: str
) -> None:
    before, dead_letters = vitals.figures(), Topic(vitals.settings, "dead_letters")
    offset = written(vitals, "events.product", message)
    (letter,) = eventually(lambda: dead_letters.records("DeadLetter"), bool, "a dead letter")
    assert letter["origin"] == f"events.product/{PARTITION}/{offset}"
    assert (letter["stage"], letter["error_class"], letter["original"]) == ("rollup", "BadRecordError", message)
    assert letter["message"].startswith(reason)
    # Nobody published it, so that it did not come in; where it ended is counted all the same.
    vitals.await_figures(before, dead_lettered=1)
    assert foreign(vitals.figures()) == foreign(before) + 1


def test_an_event_of_an_unknown_account_is_accepted_and_quarantined(vitals: Deployment) -> None:
    before, quarantine = vitals.figures(), Topic(vitals.settings, "quarantine")
    call = feature_used("a company that the CRM does not know")
    vitals.track(**call)
    (event,) = eventually(lambda: quarantine.records("QuarantinedEvent"), bool, "a quarantined event")
    assert event["account_ref"] == "crm:account:a company that the CRM does not know"
    assert (event["source"], event["stage"], event["kind"]) == ("collect", "connector", "product.feature_used")
    assert event["error_class"] == "UnknownAccountError"
    assert str(call["messageId"]) in event["origin"]
    vitals.await_figures(before, events_in=1, quarantined=1)
    assert foreign(vitals.figures()) == foreign(before)


def test_a_producer_with_an_incompatible_schema_is_refused_before_it_writes(vitals: Deployment) -> None:
    client = SchemaRegistryClient({"url": vitals.settings.registry_url})
    name = subject("events.product", "Event")
    versions = client.get_versions(name)
    # An ordinary producer, as another team would write it, with the event time as text.
    incompatible = schema_text("Event").replace(
        '{\n    "type": "long",\n    "logicalType": "timestamp-micros"\n   }', '"string"'
    )
    assert incompatible != schema_text("Event")
    serialize = AvroSerializer(client, incompatible, conf={"subject.name.strategy": topic_record_subject_name_strategy})
    before = vitals.figures()
    with pytest.raises(SchemaRegistryError, match="ncompatible") as refused:
        serialize({}, SerializationContext("events.product", MessageField.VALUE))
    assert refused.value.http_status_code == 409
    assert client.get_versions(name) == versions
    assert vitals.figures() == before


def written(vitals: Deployment, topic: str, message: bytes) -> int:
    """Writes a message by hand; its offset."""
    offsets: list[int] = []

    def delivered(error: object, record: object) -> None:
        assert error is None
        offsets.append(record.offset())  # type: ignore[attr-defined]

    producer = Producer({"bootstrap.servers": vitals.settings.kafka_bootstrap})
    producer.produce(topic, message, partition=PARTITION, on_delivery=delivered)
    assert producer.flush(30) == 0
    return offsets[0]

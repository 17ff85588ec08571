"""The topic table and the schemas belong together, and compatibility is enforced by the real registry."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import fastavro
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.schema_registry import Schema

from schemas.bootstrap import bootstrap, prepare_topics
from schemas.topics import EVENTS_TOPICS, PARTITIONS, TOPICS, events_topic, raw_topic, topic
from vitals.avro import AvroSerde, Registry, parsed_schema, schema_text, subject
from vitals.errors import BadRecordError, FatalError, RetriableError
from vitals.kafka import connection
from vitals.settings import Settings

AVRO = Path(__file__).resolve().parents[2] / "schemas" / "avro"
RECORD_NAMES = sorted(path.stem for path in AVRO.glob("*.avsc"))


def test_every_schema_is_used_by_a_topic_and_every_topics_record_has_one() -> None:
    assert {name for topic in TOPICS.values() for name in topic.records} == set(RECORD_NAMES)


@pytest.mark.parametrize("name", RECORD_NAMES)
def test_every_field_is_documented(name: str) -> None:
    schema = json.loads(schema_text(name))
    assert schema["name"] == name
    assert all(field.get("doc") for field in schema["fields"])
    assert parsed_schema(name)


def test_pipeline_topics_have_equal_partitions_and_events_topics_a_lateness() -> None:
    assert {topic.partitions for topic in TOPICS.values()} == {PARTITIONS}
    assert all(TOPICS[name].allowed_lateness_seconds for name in EVENTS_TOPICS)
    assert events_topic("billing.invoice_paid") == "events.billing"


def test_a_source_that_nobody_listed_has_a_raw_topic_like_every_other() -> None:
    found = topic("raw.vendor_of_tomorrow")
    assert found == raw_topic("vendor_of_tomorrow")
    assert (found.records, found.partitions, found.key) == (("RawObject",), PARTITIONS, TOPICS["raw.collect"].key)
    assert topic("raw.collect") is TOPICS["raw.collect"]
    assert topic("identities") is TOPICS["identities"]
    with pytest.raises(KeyError):
        topic("nowhere")


def test_bootstrap_is_idempotent_and_the_registry_refuses_an_incompatible_schema(settings: Settings) -> None:
    bootstrap(settings)
    bootstrap(settings)
    registry = Registry(settings.registry_url)
    broken = json.loads(schema_text("Identity"))
    broken["fields"].append({"name": "required_later", "type": "string", "doc": "Has no default."})
    with pytest.raises(Exception, match=r"409|ncompatible"):
        registry._client.register_schema(subject("identities", "Identity"), Schema(json.dumps(broken), "AVRO"))


def test_a_topic_on_demand_is_created_by_the_command_that_writes_it(settings: Settings) -> None:
    bootstrap(settings)
    (on_demand,) = [topic for topic in TOPICS.values() if topic.on_demand]
    admin = AdminClient(connection(settings))
    assert on_demand.name not in admin.list_topics(timeout=30).topics
    prepare_topics(settings, [on_demand])
    prepare_topics(settings, [on_demand])
    assert len(admin.list_topics(timeout=30).topics[on_demand.name].partitions) == PARTITIONS


def test_a_producer_with_an_incompatible_schema_is_refused_with_a_clear_message(
    settings: Settings, monkeypatch
) -> None:
    bootstrap(settings)
    broken = json.loads(schema_text("Identity"))
    broken["fields"][1]["type"] = "long"
    monkeypatch.setattr("vitals.avro.schema_text", lambda name: json.dumps(broken))
    with pytest.raises(FatalError, match=r"refuses schemas/avro/Identity.avsc .*BACKWARD_TRANSITIVE"):
        Registry(settings.registry_url).register("identities", "Identity")


def test_serde_round_trip_and_every_kind_of_broken_message(settings: Settings) -> None:
    bootstrap(settings)
    serde = AvroSerde(Registry(settings.registry_url))
    from datetime import UTC, datetime

    record = {
        "identity": "crm:account:1",
        "account_id": "a",
        "linked_at": datetime(2026, 1, 1, tzinfo=UTC),
        "source": "s",
    }
    encoded = serde.encode("identities", "Identity", record)
    assert serde.decode(encoded) == ("Identity", record)
    for broken in (None, b"", b"\x01abcdef", encoded[:-1], encoded + b"\x00", b"\x00\x7f\xff\xff\xff" + encoded[5:]):
        with pytest.raises(BadRecordError):
            serde.decode(broken)
    with pytest.raises(BadRecordError, match="Not a valid Identity"):
        serde.encode("identities", "Identity", {"identity": 3})


def test_an_unregistered_schema_names_the_remedy(settings: Settings) -> None:
    with pytest.raises(FatalError, match="vitals bootstrap"):
        AvroSerde(Registry(settings.registry_url)).encode("nowhere", "Identity", {})


def test_a_registry_that_does_not_answer_is_a_passing_fault() -> None:
    with pytest.raises(RetriableError, match="cannot be reached"):
        Registry("http://127.0.0.1:1").register("identities", "Identity")


def test_a_profile_of_an_older_writer_is_read_without_what_it_did_not_know() -> None:
    """Profiles from before ARR and its like lie on the topic for ever: it is compacted."""
    newest = json.loads(schema_text("AccountProfile"))
    later = ("arr", "arr_currency", "time_zone", "renewal_date", "domain", "parent_id")
    older = {**newest, "fields": [field for field in newest["fields"] if field["name"] not in later]}
    moment = datetime(2026, 11, 20, tzinfo=UTC)
    record = {
        "account_id": "431e271e-e83c-5848-a23d-7f5f8d92d9be", "crm_id": "1", "name": "Acme", "segment": "SMB",
        "owner": None, "region": None, "plan": None, "created_at": moment, "valid_from": moment, "deleted": False,
        "source": "salesforce",
    }  # fmt: skip
    written = io.BytesIO()
    fastavro.schemaless_writer(written, older, record)
    written.seek(0)
    assert fastavro.schemaless_reader(written, older, newest) == record | dict.fromkeys(later)

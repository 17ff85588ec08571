"""What people and contracts tell of an account: what is valid, in files and in calls alike."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.account_facts import BY_NAME, FACTS, FactError, checked
from connectors.collect.calls import InvalidCallError, map_call, read_call
from connectors.contract import MappedEvent
from connectors.fates import mapped_id
from connectors.file_import.mapping import load_mapping
from connectors.file_import.survey import survey
from connectors.file_import.tables import open_table
from schemas.topics import EVENTS_TOPICS, events_topic
from vitals.events import user_pseudonym

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
KEY = b"a key"


def fact(kind: str, value: str | None = None, user: str | None = None, **properties: str) -> MappedEvent:
    number = None if value is None else Decimal(value)
    return MappedEvent(kind, "row", "1", AT, "crm:account:a", user=user, value=number, properties=properties)


def call(event: str, properties: dict[str, Any], user: str = "ana@acme.example", message_id: str = "m-1") -> Any:
    body = {"messageId": message_id, "userId": user, "event": event, "properties": {"company_id": "a", **properties}}
    raw = read_call("track", body, AT, {}, lambda: "made up")
    (mapped,) = map_call(raw, {}, lambda person: user_pseudonym(KEY, person), correct_skew=True).events
    return mapped


VALID = [
    fact("crm.nps_answered", "0"),
    fact("crm.nps_answered", "10", "ana", survey="spring"),
    fact("support.csat_answered", "1"),
    fact("crm.pulse_recorded", "4.5", "a manager"),
    fact("crm.contract_set", "1200", start="2026-01-01", end="2027-01-01", currency="USD", notice_days="60"),
    fact("crm.contract_set", "0"),
    fact("crm.contract_set", end="2027-01-01", auto_renew="true"),
    fact("crm.stakeholder_set", user="ana", role="champion", status="left"),
    fact("crm.stakeholder_touched", user="ana", activity="call"),
]
INVALID = [
    (fact("crm.nps_answered"), "value"),
    (fact("crm.nps_answered", "11"), "value"),
    (fact("crm.nps_answered", "7.5"), "value"),
    (fact("crm.nps_answered", "7", comment="they are late"), "comment"),
    (fact("support.csat_answered", "6"), "value"),
    (fact("support.csat_answered", "3", scale="5-1"), "scale"),
    (fact("support.csat_answered", "3", scale="stars"), "scale"),
    (fact("crm.pulse_recorded"), "value"),
    (fact("crm.pulse_recorded", colour="blue"), "colour"),
    (fact("crm.pulse_recorded", "2", colour="green"), "value"),
    (fact("crm.contract_set"), "value"),
    (fact("crm.contract_set", "1200"), "currency"),
    (fact("crm.contract_set", "-1", currency="USD"), "value"),
    (fact("crm.contract_set", "1", currency="dollars"), "currency"),
    (fact("crm.contract_set", start="2026-01-01", end="2026-01-01"), "end"),
    (fact("crm.contract_set", start="20260101"), "start"),
    (fact("crm.contract_set", end="2027-01-01", notice_days="two months"), "notice_days"),
    (fact("crm.contract_set", end="2027-01-01", notice_days="99999999999999"), "notice_days"),
    (fact("crm.contract_set", end="2027-01-01", auto_renew="maybe"), "auto_renew"),
    (fact("crm.stakeholder_set", role="champion"), "user"),
    (fact("crm.stakeholder_set", user="ana", role="boss"), "role"),
    (fact("crm.stakeholder_set", user="ana", role="champion", status="gone"), "status"),
    (fact("crm.stakeholder_touched", "3", user="ana"), "value"),
    (fact("crm.stakeholder_touched", user="ana", activity="Talked to Ana Reis"), "activity"),
]


def test_every_kind_has_a_valid_example_a_topic_and_a_name_of_its_own() -> None:
    assert {event.kind for event in VALID} == set(FACTS)
    assert all(events_topic(kind) in EVENTS_TOPICS for kind in FACTS)
    assert len(BY_NAME) == len(FACTS)


@pytest.mark.parametrize("event", VALID, ids=lambda event: event.kind)
def test_what_is_valid_stays_and_has_one_form(event: MappedEvent) -> None:
    once = checked(event)
    assert checked(once) == once
    assert mapped_id("import", once) == mapped_id("import", event)


@pytest.mark.parametrize(("event", "field"), INVALID)
def test_what_is_not_valid_is_told_by_its_field(event: MappedEvent, field: str) -> None:
    with pytest.raises(FactError) as refused:
        checked(event)
    assert refused.value.field == field


def test_other_kinds_are_nobodys_business_here() -> None:
    event = fact("product.feature_used", "3", anything="goes")
    assert checked(event) is event


@given(st.integers(0, 20), st.integers(1, 20), st.data())
def test_satisfaction_is_from_1_to_5_whatever_the_scale(lowest: int, steps: int, data: st.DataObject) -> None:
    """The ends stay the ends, a better answer is never less, and the middle is 3."""
    scale = f"{lowest}-{lowest + steps}"

    def of(answer: int | Decimal) -> Decimal:
        found = checked(fact("support.csat_answered", str(answer), scale=scale)).value
        assert found is not None
        return found

    first, second = sorted(data.draw(st.tuples(*[st.integers(lowest, lowest + steps)] * 2)))
    assert (of(lowest), of(lowest + steps)) == (1, 5)
    assert 1 <= of(first) <= of(second) <= 5
    assert of(lowest + Decimal(steps) / 2) == 3


def test_colours_are_figures() -> None:
    found = [checked(fact("crm.pulse_recorded", colour=colour)).value for colour in ("red", "yellow", "green")]
    assert found == [1, 3, 5]


def test_a_call_is_a_fact_by_its_events_name() -> None:
    event = call("NPS Answered", {"value": 9, "survey": "spring", "comment": "Ana says they are late"})
    assert (event.kind, event.value, event.account_ref) == ("crm.nps_answered", 9, "crm:account:a")
    # Only what has no words of a person's is kept; the person is the event's user, which becomes a pseudonym.
    assert event.properties == {"survey": "spring"}
    assert event.user == "ana@acme.example"
    again = call("NPS Answered", {"value": 9})
    assert mapped_id("collect", again) == mapped_id("collect", event)
    assert mapped_id("collect", call("NPS Answered", {"value": 9}, message_id="m-2")) != mapped_id("collect", event)


def test_a_call_with_terms() -> None:
    event = call(
        "Contract Set",
        {"value": 36000, "currency": "usd", "start": "2026-01-01", "end": "2027-01-01", "notice_days": 60,
         "auto_renew": True},
    )  # fmt: skip
    assert (event.kind, event.value) == ("crm.contract_set", 36000)
    assert event.properties == {
        "currency": "USD", "start": "2026-01-01", "end": "2027-01-01", "notice_days": "60", "auto_renew": "true",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("event", "properties", "field"),
    [
        ("NPS Answered", {"value": 11}, "properties.value"),
        ("NPS Answered", {"value": "nine"}, "properties.value"),
        ("Pulse Recorded", {}, "properties.value"),
        ("Contract Set", {"end": "next year"}, "properties.end"),
        ("Stakeholder Set", {"role": "boss"}, "properties.role"),
    ],
)
def test_a_call_that_is_not_valid_names_the_field(event: str, properties: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidCallError) as refused:
        call(event, properties)
    assert refused.value.field == field


@pytest.mark.parametrize("name", ["surveys", "contracts", "stakeholders"])
def test_the_example_files_can_be_imported_whole(name: str) -> None:
    mapping, table = load_mapping(EXAMPLES / f"{name}.yaml"), open_table(EXAMPLES / f"{name}.csv")
    found = survey(table, mapping, table.digest())
    assert (found.problems, found.repeated) == ([], 0)
    assert found.usable == found.rows > 1
    assert set(found.kinds) <= set(FACTS)


def test_a_row_that_is_not_valid_names_its_column(tmp_path: Path) -> None:
    (tmp_path / "nps.csv").write_text(
        "crm_id,answered,score,who\na,2026-11-02T10:00:00Z,9,ana\na,2026-11-02T10:00:00Z,12,bo\n"
    )
    (tmp_path / "nps.yaml").write_text(
        "name: nps\nkind: crm.nps_answered\nevent_time: {column: answered}\naccount: {column: crm_id}\n"
        "user: who\nvalue: score\n"
    )
    table = open_table(tmp_path / "nps.csv")
    found = survey(table, load_mapping(tmp_path / "nps.yaml"), table.digest())
    assert (found.usable, found.bad) == (1, 1)
    assert found.problems == ["Row 2: score must be a whole number from 0 to 10."]

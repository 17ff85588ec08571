"""The command line on the real broker: what waits, why, a link by hand, and what imports have in quarantine."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
import structlog
from click.testing import CliRunner

from connectors.fates import PageOutcome, SetAside
from connectors.identities import IdentityIndex, follow_identities
from connectors.identity.cli import group as identity
from connectors.quarantine.cli import group as quarantine
from connectors.quarantine.records import read_topic
from connectors.runner import StreamRunner
from connectors.stream_state import load_state
from connectors.writer import StreamWriter
from schemas.bootstrap import bootstrap, prepare_topics
from schemas.topics import raw_topic
from tests.runner.streams import START, AccountsStream, NumberedStream
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.errors import UserError
from vitals.events import account_id
from vitals.settings import Settings

STREAM = "test.commands"
NAME = "crm:account:mislaid"
KNOWN = "crm:account:gamma"

Vitals = Callable[..., str]


@pytest.fixture(scope="module")
def serde(settings: Settings) -> AvroSerde:
    bootstrap(settings)
    prepare_topics(settings, [raw_topic(AccountsStream.source)])
    return AvroSerde(Registry(settings.registry_url))


@pytest.fixture
def vitals(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vitals]:
    # As `configure_logging` does, but not into the output that the runner of commands closes.
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=sys.__stderr__))
    monkeypatch.setattr("vitals.telemetry.configure_logging", lambda _settings: None)
    monkeypatch.setenv("VITALS_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("VITALS_REGISTRY_URL", settings.registry_url)

    def run(group: object, *arguments: str) -> str:
        answer = CliRunner().invoke(group, arguments)  # type: ignore[arg-type]
        if answer.exception is not None:
            raise answer.exception
        return answer.stdout

    yield run
    structlog.reset_defaults()


class Running:
    """A stream that names a mislaid account, and the identity source, as `vitals connect` runs them."""

    def __init__(self, settings: Settings, serde: AvroSerde) -> None:
        self._stopping = threading.Event()
        index = IdentityIndex(has_identity_source=True)
        streams = [NumberedStream(STREAM, [(number, "mislaid") for number in range(7)]), AccountsStream(["gamma"])]
        self._threads = [threading.Thread(target=follow_identities, args=(settings, serde, index, self._stopping))]
        self._threads += [
            threading.Thread(target=StreamRunner(one, settings, serde, WallClock(), index, self._stopping).run)
            for one in streams
        ]
        for thread in self._threads:
            thread.start()
        self._settings, self._serde = settings, serde

    def counts(self) -> dict[str, int]:
        state = load_state(self._settings, self._serde, STREAM)
        return dict(state.get("counts", {}).get("product.event_tracked", {}))

    def wait(self, wanted: dict[str, int]) -> None:
        for _ in range(600):
            if self.counts() == wanted:
                return
            self._stopping.wait(0.1)
        raise AssertionError(f"{self.counts()} never becomes {wanted}")

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(20)


def test_what_waits_is_shown_linked_by_hand_and_driven_again(
    settings: Settings, serde: AvroSerde, vitals: Vitals
) -> None:
    running = Running(settings, serde)
    try:
        running.wait({"quarantined": 7})
        (row,) = [one for one in json.loads(vitals(quarantine, "list", "--json")) if one["value"] == NAME]
        assert (row["events"], row["sources"], row["account_id"]) == (7, ["collect"], None)
        assert row["why"] == "no claim on a known account"
        assert NAME in vitals(quarantine, "list")
        kinds = json.loads(vitals(quarantine, "list", "--by", "kind", "--json"))
        assert "product.event_tracked" in {one["value"] for one in kinds}  # other tests share the topic

        waiting = [one.record for one in read_topic(settings, serde, "quarantine") if one.record]
        event_id = next(one["event_id"] for one in waiting if one["account_ref"] == NAME)
        shown = json.loads(vitals(quarantine, "show", event_id, "--json"))
        assert shown["original"] == {"account": "mislaid"}
        assert shown["identity"]["account_id"] is None
        assert json.loads(vitals(quarantine, "show", shown["position"], "--json")) == shown

        before = json.loads(vitals(identity, "explain", "mislaid", "--json"))
        assert [(one["identity"], one["waiting"]) for one in before] == [(NAME, 7)]
        with pytest.raises(UserError, match="knows the account crm:account:nowhere"):
            vitals(quarantine, "link", NAME, "crm:account:nowhere")
        with pytest.raises(UserError, match="account of the CRM itself"):
            vitals(quarantine, "link", KNOWN, KNOWN)
        assert KNOWN in vitals(quarantine, "link", NAME, account_id(KNOWN), "--by", "ana")
        running.wait({"published": 7, "quarantined": 0})
        assert not [one for one in json.loads(vitals(quarantine, "list", "--json")) if one["value"] == NAME]
        with pytest.raises(UserError, match="not in quarantine"):
            vitals(quarantine, "show", event_id)

        explained = {
            one["identity"]: one for one in json.loads(vitals(identity, "explain", account_id(KNOWN), "--json"))
        }
        assert set(explained) == {NAME, KNOWN}
        (claim,) = explained[NAME]["claims"]
        assert (claim["evidence"], claim["claimed_by"], claim["effect"]) == ("manual", "ana", "decides")
        assert claim["claimed_at"]
        assert "is account" in vitals(identity, "explain", NAME)

        vitals(quarantine, "link", NAME, KNOWN, "--withdraw")
        (taken_back,) = json.loads(vitals(identity, "explain", NAME, "--json"))
        assert taken_back["account_id"] is None
        assert [one["effect"] for one in taken_back["claims"]] == ["is withdrawn"]
        assert running.counts() == {"published": 7, "quarantined": 0}
    finally:
        running.stop()
    with pytest.raises(UserError, match="Nothing is known of"):
        vitals(identity, "explain", "never-heard-of")


def test_an_imports_rows_are_driven_by_the_command(settings: Settings, serde: AvroSerde, vitals: Vitals) -> None:
    stream, name = "import.test_rows", "stripe:customer:imported"
    writer = StreamWriter(settings, serde, WallClock(), "import", stream, ())
    writer.open()
    rows = [
        SetAside(
            "QuarantinedEvent", name, "product.event_tracked", f"00000000-0000-5000-8000-{number:012d}", name,
            START + timedelta(minutes=number), "UnknownAccountError", "unknown", f"{stream}/row/{number}", b"{}",
            "someone", Decimal(number), {"n": str(number)},
        )
        for number in range(3)
    ]  # fmt: skip
    writer.commit(PageOutcome([], None, set_aside=rows), {"product.event_tracked": {"quarantined": 3}})
    assert json.loads(vitals(quarantine, "replay", "--json"))["driven"][stream] == 0
    vitals(quarantine, "link", name, "gamma")
    assert json.loads(vitals(quarantine, "replay", "--account-ref", "another", "--json"))["driven"][stream] == 0
    assert json.loads(vitals(quarantine, "replay", "--json"))["driven"][stream] == 3
    assert stream not in json.loads(vitals(quarantine, "replay", "--json"))["driven"]
    assert load_state(settings, serde, stream)["counts"] == {
        "product.event_tracked": {"quarantined": 0, "published": 3}
    }
    ours = {row.event_id for row in rows}  # other tests import into the topic too
    published = {
        one.record["event_id"]: one.record
        for one in read_topic(settings, serde, "events.product")
        if one.name == "Event" and one.record and one.record["event_id"] in ours
    }
    assert [published[row.event_id]["value"] for row in rows if row.event_id] == [0, 1, 2]
    assert {one["account_id"] for one in published.values()} == {account_id(KNOWN)}
    assert {one["user_id"] for one in published.values()} == {"someone"}

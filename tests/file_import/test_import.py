"""Imports on the real parts."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from connectors.file_import.command import describe, summary
from connectors.file_import.importer import Importer
from connectors.file_import.stream import PAGE_ROWS, Position
from connectors.file_import.survey import survey
from connectors.writer import StreamWriter
from schemas.topics import TOPICS
from tests.collect.conftest import environment
from tests.collect.topics import Topic
from tests.file_import.conftest import Prepare, row
from vitals.avro import AvroSerde, Registry
from vitals.clock import WallClock
from vitals.errors import UserError
from vitals.events import account_id, event_id
from vitals.kafka import producer
from vitals.settings import Settings


def fresh() -> str:
    """A name that no other test uses."""
    return f"t{uuid4().hex[:12]}"


def modes(topic: Topic, stream: str) -> dict[int, list[str]]:
    """Modes of a stream's progress records by partition, in log order, repetitions left out."""
    found: dict[int, list[str]] = {}
    for name, record, partition in topic.messages():
        if name == "Progress" and record["stream"] == stream:
            told = found.setdefault(partition, [])
            if not told or told[-1] != record["mode"]:
                told.append(record["mode"])
    return found


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_rows_become_events_between_registration_and_retirement(
    prepared: Settings, import_file: Prepare, suffix: str
) -> None:
    name, events = fresh(), Topic(prepared, "events.product")
    file = import_file(name, [row(n) for n in range(20)] + [row(3)], suffix)
    done = Importer(prepared, file).run()
    assert done == Position(rows=21, published=20, already_known=1, done=True)
    published = events.records("Event")
    assert {event["event_id"] for event in published} == {
        event_id("import", name, f"r{n}", "product.feature_used") for n in range(20)
    }
    assert {event["account_id"] for event in published} == {account_id(f"crm:account:acme-{n}") for n in range(7)}
    assert modes(events, f"import.{name}") == {
        n: ["backfill", "retired"] for n in range(TOPICS["events.product"].partitions)
    }
    assert "21 rows = 20 published + 1 already known + 0 quarantined" in summary(file, done)


def test_an_import_that_is_done_changes_nothing(prepared: Settings, import_file: Prepare) -> None:
    file = import_file(fresh(), [row(n) for n in range(5)])
    Importer(prepared, file).run()
    topics = [Topic(prepared, name) for name in ("events.product", "raw.import", "connectors.cursors")]
    assert Importer(prepared, file).run() == Position(rows=5, already_known=5, done=True)
    assert [topic.messages() for topic in topics] == [[], [], []]


def test_bad_rows_are_dead_letters_and_every_row_is_counted(prepared: Settings, import_file: Prepare) -> None:
    dead, counts = Topic(prepared, "dead_letters"), Topic(prepared, "pipeline.counts")
    file = import_file(fresh(), [row(0), row(1, lines="many"), row(2, crm=""), row(0)])
    done = Importer(prepared, file).run()
    assert done == Position(rows=4, published=1, already_known=1, dead_lettered=2, done=True)
    assert sorted(letter["message"] for letter in dead.records()) == [
        "Row 2: lines is not a number: 'many'.",
        "Row 3: crm is empty.",
    ]
    *_, last = [record for record in counts.records() if record["name"] == file.stream]
    assert Counter({(one["kind"], one["fate"]): one["count"] for one in last["counts"]}) == {
        ("product.feature_used", "published"): 1,
        ("unreadable", "dead_lettered"): 2,
    }


def test_an_unknown_account_is_quarantined(prepared: Settings, import_file: Prepare) -> None:
    serde, now, known = AvroSerde(Registry(prepared.registry_url)), WallClock().now(), fresh()
    client = producer(prepared)
    link = {"identity": f"crm:account:{known}", "account_id": account_id(known), "linked_at": now, "source": "test"}
    client.produce("identities", serde.encode("identities", "Identity", link), link["identity"].encode())
    spoken = {"source": "test", "stream": "test", "complete_through": datetime(2001, 6, 1, tzinfo=UTC)}
    for partition in range(TOPICS["identities"].partitions):
        record = serde.encode("identities", "Progress", {**spoken, "mode": "live", "written_at": now})
        client.produce("identities", record, b"progress|test", partition)
    assert client.flush(30) == 0
    quarantine = Topic(prepared, "quarantine")
    rows = [row(n, crm=crm, at="2001-01-01T00:00:00") for n, crm in enumerate((known, "nobody", known))]
    with_crm = prepared.model_copy(update={"connectors": "salesforce,collect"})
    done = Importer(with_crm, import_file(fresh(), rows)).run()
    assert done == Position(rows=3, published=2, quarantined=1, done=True)
    (record,) = quarantine.records()
    assert (record["account_ref"], record["error_class"]) == ("crm:account:nobody", "UnknownAccountError")


@pytest.fixture
def sealed_july(prepared: Settings) -> Iterator[None]:
    """Billing sealed up to 5 July, as the sink says it: no other test here imports billing."""
    with psycopg.connect(prepared.postgres_dsn.get_secret_value(), autocommit=True) as connection:
        for partition in (0, 1):
            connection.execute(
                "insert into watermarks (input_topic, partition, sealed_through, position) values (%s, %s, %s, 0)",
                ("events.billing", partition, datetime(2026, 7, 5 - partition, tzinfo=UTC)),
            )
        yield
        connection.execute("delete from watermarks where input_topic = 'events.billing'")


@pytest.mark.usefixtures("sealed_july")
def test_sealed_days_refuse_the_whole_file_before_anything_is_written(prepared: Settings, import_file: Prepare) -> None:
    topics = [Topic(prepared, name) for name in ("events.billing", "raw.import", "connectors.cursors")]
    rows = [row(n) for n in range(10)]
    with pytest.raises(UserError, match=r"sealed \(2026-07-01 to 2026-07-04; sealed before 2026-07-05\)"):
        Importer(prepared, import_file(fresh(), rows, kind="billing.invoice_paid")).run()
    assert [topic.messages() for topic in topics] == [[], [], []]
    done = Importer(prepared, import_file(fresh(), rows[4:], kind="billing.invoice_paid")).run()
    assert done.published == 6


class StopsAfter:
    """Sets the event once so many rows are imported."""

    def __init__(self, rows: int) -> None:
        self.event, self._rows = threading.Event(), rows

    def __call__(self, doing: str, rows: int, total: int | None) -> None:
        if doing == "Importing" and rows >= self._rows:
            self.event.set()


def test_it_goes_on_where_it_was_stopped(prepared: Settings, import_file: Prepare) -> None:
    name, events = fresh(), Topic(prepared, "events.product")
    rows = [row(n % 2500, lines=n) for n in range(3 * PAGE_ROWS)]
    stops = StopsAfter(PAGE_ROWS)
    first = Importer(prepared, import_file(name, rows), stops.event, stops).run()
    assert first == Position(rows=PAGE_ROWS, published=PAGE_ROWS)
    assert {told[-1] for told in modes(events, f"import.{name}").values()} == {"retired"}, (
        "a stopped import holds nothing"
    )
    done = Importer(prepared, import_file(name, rows)).run()
    assert done == Position(rows=3000, published=2500, already_known=500, done=True)
    assert Counter(Counter(event["event_id"] for event in events.records("Event")).values()) == {1: 2500}
    assert {tuple(told) for told in modes(events, f"import.{name}").values()} == {("backfill", "retired") * 2}


def test_an_aborted_page_is_written_again_once(prepared: Settings, import_file: Prepare) -> None:
    name, events = fresh(), Topic(prepared, "events.product")
    file = import_file(name, [row(n) for n in range(3 * PAGE_ROWS)])
    serde = AvroSerde(Registry(prepared.registry_url))
    usurped = threading.Event()

    def usurp(doing: str, rows: int, total: int | None) -> None:
        if doing == "Importing" and not usurped.is_set():
            usurped.set()
            StreamWriter(prepared, serde, WallClock(), "import", file.stream, ()).open()

    done = Importer(prepared, file, on_rows=usurp).run()
    assert usurped.is_set()
    assert done == Position(rows=3000, published=3000, done=True)
    assert Counter(Counter(event["event_id"] for event in events.records("Event")).values()) == {1: 3000}


def test_a_killed_import_holds_the_watermark_until_it_is_given_up(prepared: Settings, import_file: Prepare) -> None:
    name, events = fresh(), Topic(prepared, "events.product")
    file = import_file(name, [row(n) for n in range(2 * PAGE_ROWS)])

    def die(doing: str, rows: int, total: int | None) -> None:
        if doing == "Importing":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Importer(prepared, file, on_rows=die).run()
    assert {told[-1] for told in modes(events, f"import.{name}").values()} == {"backfill"}
    Importer(prepared, file).abandon()
    assert {told[-1] for told in modes(events, f"import.{name}").values()} == {"retired"}


def command(prepared: Settings, *arguments: str) -> subprocess.Popen[str]:
    """`vitals import …`."""
    return subprocess.Popen(
        [sys.executable, "-m", "vitals", "import", *arguments],
        env=environment(prepared, VITALS_CONNECTORS="collect"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_the_command_after_a_page_and_the_next_run_goes_on(
    prepared: Settings, import_file: Prepare, tmp_path: Path
) -> None:
    name, raw, events = fresh(), Topic(prepared, "raw.import"), Topic(prepared, "events.product")
    total = 20 * PAGE_ROWS
    file = import_file(name, [row(n) for n in range(total)])
    arguments = (str(file.path), "--mapping", str(tmp_path / f"{name}.yaml"))
    first = command(prepared, *arguments)

    @retry(retry=retry_if_exception_type(AssertionError), stop=stop_after_delay(90), wait=wait_fixed(0.05))
    def await_a_page() -> None:
        assert raw.records()

    await_a_page()
    first.send_signal(signal.SIGINT)
    told, warned = first.communicate(timeout=60)
    assert (first.returncode, warned.splitlines()[-1]) == (130, "Interrupted. Run the same command again to go on.")
    assert "Traceback" not in warned
    assert 0 < len(events.records("Event")) < total
    second = command(prepared, *arguments)
    told, warned = second.communicate(timeout=120)
    assert (second.returncode, told) == (
        0,
        f"{file.path}: 20,000 rows = 20,000 published + 0 already known + 0 quarantined + 0 dead-lettered\n",
    ), warned
    assert Counter(Counter(event["event_id"] for event in events.records("Event")).values()) == {1: total}


def test_a_dry_run_tells_counts_and_problems_and_needs_no_kafka(import_file: Prepare, tmp_path: Path) -> None:
    name = fresh()
    file = import_file(name, [row(0), row(1, at="soon"), row(0)])
    nowhere = Settings(kafka_bootstrap="127.0.0.1:1", registry_url="http://127.0.0.1:1", state_dir=tmp_path)
    process = command(nowhere, str(file.path), "-m", str(tmp_path / f"{name}.yaml"), "--dry-run")
    told, warned = process.communicate(timeout=60)
    assert process.returncode == 0, warned
    assert told.startswith(describe(file, survey(file.table, file.mapping, file.digest)))
    assert "3 rows = 1 usable + 1 repeated in the file + 1 bad" in told
    assert "Row 2: at is not a time in the form iso: 'soon'." in told
    assert "Sealed days were not checked" in told


def test_a_mistake_is_one_sentence(prepared: Settings, tmp_path: Path) -> None:
    process = command(prepared, str(tmp_path / "absent.csv"), "-m", str(tmp_path / "absent.yaml"))
    told, warned = process.communicate(timeout=60)
    assert (process.returncode, told) == (2, "")
    assert warned == f"vitals: {tmp_path / 'absent.csv'} does not exist, or is no file.\n"

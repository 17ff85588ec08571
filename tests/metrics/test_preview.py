"""`vitals metrics preview` on the real broker and registry."""

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AdminClient, NewTopic

from embedded.ports import choose_ports
from metrics.authoring.evaluation import evaluate
from metrics.authoring.history import read_history
from metrics.cli import group
from schemas.bootstrap import bootstrap
from tests.metrics.oracle import ORACLES
from tests.parity.logs import START, Shape, first_of_each, generated
from vitals.avro import AvroSerde, Registry
from vitals.kafka import connection, producer
from vitals.settings import Settings

Run = Callable[..., str]

DEFINITION = """
from dataclasses import replace
from metrics.{module} import METRIC as KNOWN
METRIC = replace(KNOWN, topic="{topic}")
"""


@pytest.fixture(scope="module")
def topic(settings: Settings) -> Iterator[str]:
    """A topic of this module's own, as an events topic is: what it holds disturbs nobody."""
    bootstrap(settings)
    name = f"previewed.{uuid.uuid4().hex[:8]}"
    admin = AdminClient(connection(settings))
    for outcome in admin.create_topics([NewTopic(name, 3, 1)]).values():
        outcome.result(30)
    yield name
    for outcome in admin.delete_topics([name]).values():
        outcome.result(30)


@pytest.fixture(scope="module")
def events(settings: Settings, topic: str) -> list[dict[str, Any]]:
    """The events that count of a log of two domains, produced with duplicates, progress, noise and an abort."""
    registry = Registry(settings.registry_url)
    for name in ("Event", "Progress"):
        registry.register(topic, name)
    serde = AvroSerde(registry)
    log = [*generated("events.support", Shape(900)), *generated("events.billing", Shape(900))]
    sender = producer(settings, f"preview-{topic}")
    sender.init_transactions(30)

    def send(account: str, body: bytes) -> None:
        sender.produce(topic, key=account.encode(), value=body)

    sender.begin_transaction()
    for written in log:
        send(written.record["account_id"], serde.encode(topic, "Event", written.read()))
    progress = {
        "source": "one", "stream": "one", "complete_through": START, "mode": "live", "written_at": START,
    }  # fmt: skip
    send("progress", serde.encode(topic, "Progress", progress))
    send("noise", b"not Avro")
    sender.commit_transaction(30)
    sender.begin_transaction()
    send("nobody", serde.encode(topic, "Event", log[0].read() | {"event_id": "aborted", "account_id": "nobody"}))
    sender.flush(30)
    sender.abort_transaction(30)
    return list(first_of_each(log))


@pytest.fixture
def preview(settings: Settings, topic: str, tmp_path: Path) -> Run:
    """Runs the command for a metric of the catalogue over this module's topic."""

    def run(name: str, *arguments: str) -> str:
        path = tmp_path / "moved.py"
        path.write_text(DEFINITION.format(module=name.replace(".", "_"), topic=topic))
        result = CliRunner().invoke(
            group, ["preview", name, "--file", str(path), *arguments], env=environment(settings), catch_exceptions=False
        )
        assert result.exit_code == 0
        return result.output

    return run


def environment(settings: Settings) -> dict[str, str]:
    return {"VITALS_KAFKA_BOOTSTRAP": settings.kafka_bootstrap, "VITALS_REGISTRY_URL": settings.registry_url}


def rows(printed: str) -> list[list[str]]:
    """The table's rows as words."""
    return [line.split() for line in printed.splitlines() if re.match(r"\d{4}-\d\d-\d\d ", line)]


def test_history_is_each_committed_event_once(
    settings: Settings, topic: str, events: list[dict[str, Any]], preview: Run
) -> None:
    told: list[tuple[int, int]] = []
    history = read_history(settings, topic, lambda done, total: told.append((done, total)))
    assert sorted(history.events["event_id"].to_pylist()) == sorted(event["event_id"] for event in events)
    assert (history.duplicates, history.unreadable) == (1800 - len(events), 1)
    assert told[-1][0] == told[-1][1] > 1800
    assert told == sorted(told)
    from metrics.billing_seats import METRIC

    found = {(each.account_id, each.window_start): each.value for each in evaluate(METRIC, "day", history.events)}
    assert found == ORACLES["billing.seats"].windows(events, "day")


def test_the_newest_windows_are_printed(events: list[dict[str, Any]], preview: Run) -> None:
    printed = preview("support.tickets_opened", "--from", "2026-03-03", "--limit", "7")
    expected = ORACLES["support.tickets_opened"].windows(events, "day")
    shown = sorted((start, account) for account, start in expected if start.day >= 3)
    assert rows(printed) == [
        [f"{start:%Y-%m-%d}", account, f"{expected[account, start]:f}"] for start, account in shown[-7:]
    ]
    assert f"7 newest of {len(shown)} windows." in printed
    counted = len(events)
    assert f"1,801 events read = {counted:,} counted + {1800 - counted} duplicates + 1 unreadable" in printed


def test_an_account_an_hour_and_a_bound(events: list[dict[str, Any]], preview: Run) -> None:
    account = events[0]["account_id"]
    printed = preview(
        "billing.invoiced_amount", "--from", "2026-03-02T08:30", "--to", "2026-03-02T11:00+00:00",
        "--grain", "hour", "--account", account, "--limit", "500",
    )  # fmt: skip
    expected = ORACLES["billing.invoiced_amount"].windows(events, "hour")
    assert rows(printed) == [
        [f"{start:%Y-%m-%d}", f"{start:%H:%M}", f"{expected[account, start]:f}".rstrip("0")]
        for start in sorted(start for name, start in expected if name == account)
        if start.day == 2 and 8 <= start.hour < 11
    ]
    assert "It is kept by the day only." in printed
    assert "No window." in preview("billing.invoiced_amount", "--from", "2030-01-01")


def test_a_metric_of_the_catalogue_reads_its_own_topic(settings: Settings, topic: str) -> None:
    result = CliRunner().invoke(
        group, ["preview", "crm.amount_won", "--from", "2020-01-01"], env=environment(settings), catch_exceptions=False
    )
    assert re.search(r"events\.crm: [\d,]+ events read = [\d,]+ counted \+ [\d,]+ duplicates", result.output)


def test_a_topic_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "moved.py"
    path.write_text(DEFINITION.format(module="billing_seats", topic="previewed.nowhere"))
    result = CliRunner().invoke(
        group, ["preview", "--file", str(path), "--from", "2020-01-01"], env=environment(settings)
    )
    assert "has no topic previewed.nowhere: run `vitals bootstrap` first." in str(result.exception)


def test_a_kafka_that_does_not_answer_is_one_sentence_and_exit_status_2() -> None:
    port = choose_ports(["kafka"], forced={}, remembered={}, prefer_defaults=False)["kafka"].port
    told = subprocess.run(
        [sys.executable, "-m", "vitals", "metrics", "preview", "product.events", "--from", "2023-01-01"],
        env={**os.environ, "VITALS_KAFKA_BOOTSTRAP": f"127.0.0.1:{port}"},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 2
    assert told.stdout == ""
    assert told.stderr.startswith(f"vitals: Kafka does not answer at 127.0.0.1:{port}: start Vitals, or set")
    assert told.stderr.count("\n") == 1

"""First loads by Bulk API 2.0: the same as by REST, whatever happens to the job."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import TruncatedBodyError
from connectors.salesforce.bulk import csv_records
from connectors.simulation.faults import Fault
from connectors.simulation.injection import Injection
from connectors.simulation.world import World
from tests.connectors.conftest import Stage
from tests.connectors.simulated import Followed, by_id
from vitals.errors import FatalError

StageOf = Callable[..., Stage]
JOBS = "/services/data/v67.0/jobs/query"
STREAMS = tuple(f"salesforce.{name}" for name in ("accounts", "opportunities", "activities", "meetings", "cases"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs for everything, in small pages."""
    monkeypatch.setenv("VITALS_SALESFORCE_BULK_FROM", "20")
    monkeypatch.setenv("VITALS_SALESFORCE_CASES", "true")
    monkeypatch.setattr("connectors.salesforce.stream.PAGE_OBJECTS", 7)
    monkeypatch.setattr("connectors.salesforce.bulk.RECORDS_A_REQUEST", 25)


def asked(stage: Stage, method: str, part: str) -> list[str]:
    return [one.url.path for one in stage.transport.requests if one.method == method and part in one.url.path]


def by_rest(world: World, stage_of: StageOf, stream: str, monkeypatch: pytest.MonkeyPatch) -> Followed:
    monkeypatch.setenv("VITALS_SALESFORCE_BULK_FROM", "0")
    followed = Followed(stage_of(world).streams("salesforce")[stream]).catch_up()
    monkeypatch.setenv("VITALS_SALESFORCE_BULK_FROM", "20")
    return followed


def objects(followed: Followed) -> dict[str, Any]:
    """Raw objects by id; the owner's address is a link that CSV has no place for."""
    found = {}
    for raw in followed.objects:
        owner = raw.body.get("Owner")
        found[raw.source_id] = {**raw.body, "Owner": {"Name": owner["Name"]}} if owner else raw.body
    return found


@pytest.mark.parametrize("stream", STREAMS)
def test_a_job_brings_what_rest_brings(
    stream: str, world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = by_rest(world, stage_of, stream, monkeypatch)
    stage = stage_of(world)
    bulk = Followed(stage.streams("salesforce")[stream]).catch_up()
    assert by_id(bulk.events) == by_id(rest.events)
    assert sorted(map(repr, bulk.profiles)) == sorted(map(repr, rest.profiles))
    assert objects(bulk) == objects(rest)
    assert bulk.state["since"] == rest.state["since"]
    assert bulk.promises[-1] == rest.promises[-1]
    assert set(bulk.promises[:-1]) == {None}
    assert len(asked(stage, "POST", "/jobs/query")) == 1
    assert len(asked(stage, "GET", "/results")) == -(-len(objects(bulk)) // 25)
    assert stage.waits == [0.5, 1.0], "the job is asked for with growing pauses"


def test_the_job_is_deleted_after_its_last_page_is_committed(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")["salesforce.accounts"]).catch_up()
    assert asked(stage, "DELETE", "/jobs/query") == []
    job = followed.state["finished"]
    followed.restart(stage.streams("salesforce")["salesforce.accounts"])
    stage.advance_to(stage.simulation.clock.now() + 60)
    followed.catch_up()
    assert [path.rpartition("/")[2] for path in asked(stage, "DELETE", "/jobs/query")] == [job]
    assert "finished" not in followed.state
    assert len(asked(stage, "POST", "/jobs/query")) == 1, "a later walk is no first load"


@pytest.mark.parametrize("stream", STREAMS)
def test_a_restart_after_every_page_loses_and_repeats_nothing(stream: str, world: World, stage_of: StageOf) -> None:
    at_once = Followed(stage_of(world).streams("salesforce")[stream]).catch_up()
    stage = stage_of(world)
    followed, more = Followed(stage.streams("salesforce")[stream]), True
    while more:
        more = followed.page()
        followed.restart(stage.streams("salesforce")[stream])
    assert by_id(followed.events) == by_id(at_once.events)
    assert len(followed.events) == len(at_once.events)
    assert len(asked(stage, "POST", "/jobs/query")) == 1


@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize(
    "kind", ["server_error", "truncate", "corrupt", "drop", "rate_limit", "concurrent", "expire_token"]
)
def test_a_fault_changes_nothing(kind: str, after: int, world: World, stage_of: StageOf) -> None:
    clean = Followed(stage_of(world).streams("salesforce")["salesforce.cases"]).catch_up()
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="salesforce", kind=kind, path="/services/data/v67.0/jobs", after=after))
    followed = Followed(stage.streams("salesforce")["salesforce.cases"]).catch_up()
    assert not stage.simulation.faults.waiting()
    assert by_id(followed.events) == by_id(clean.events)
    assert not followed.set_aside


@pytest.mark.parametrize("kind", ["bulk_refused", "bulk_failed"])
def test_without_a_job_rest_does_it(
    kind: str, world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = by_rest(world, stage_of, "salesforce.cases", monkeypatch)
    stage = stage_of(world)
    stage.simulation.faults.order(Fault(vendor="salesforce", kind=kind, path=JOBS))
    followed = Followed(stage.streams("salesforce")["salesforce.cases"]).catch_up()
    assert by_id(followed.events) == by_id(rest.events)
    assert asked(stage, "GET", "/results") == []
    assert len(asked(stage, "DELETE", "/jobs/query")) == (kind == "bulk_failed")


def test_a_job_that_is_gone_before_its_results_were_read_is_done_by_rest(
    world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = by_rest(world, stage_of, "salesforce.cases", monkeypatch)
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")["salesforce.cases"])
    while not followed.objects:
        followed.page()
    stage.advance_to(stage.simulation.clock.now() + 8 * 86_400)
    followed.restart(stage.streams("salesforce")["salesforce.cases"])
    # What changed meanwhile lies behind the load's bound, and comes with the next walk.
    followed.catch_up().catch_up()
    assert set(by_id(followed.events)) >= set(by_id(rest.events))


def test_a_job_that_never_ends_is_aborted(world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.salesforce.bulk_simulator._POLLS", 10**6)
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")["salesforce.accounts"])
    for _ in range(12):
        followed.page()
    assert max(stage.waits) == 10.0
    stage.advance_to(stage.simulation.clock.now() + 90_000)
    followed.catch_up().catch_up()
    assert len(asked(stage, "PATCH", "/jobs/query")) == len(asked(stage, "DELETE", "/jobs/query")) == 1
    assert len({profile.crm_id for profile in followed.profiles}) == len(world.accounts)


def test_what_changes_while_the_job_runs_is_told_by_the_next_walk(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    followed = Followed(stage.streams("salesforce")["salesforce.accounts"])
    followed.page()
    stage.advance_to(stage.simulation.clock.now() + 3_600)
    stage.simulation.inject(Injection("account_changed", account=world.accounts[0].crm_id, plan="Changed"))
    followed.catch_up()
    assert len(followed.profiles) == len(world.accounts) - 1, "it left the job's bounds"
    stage.advance_to(stage.simulation.clock.now() + 60)
    followed.catch_up()
    created = {event.account_id for event in followed.events if event.kind == "crm.account_created"}
    assert len(created) == len(world.accounts)


def test_few_records_need_no_job(world: World, stage_of: StageOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALS_SALESFORCE_BULK_FROM", str(len(world.accounts) + 1))
    stage = stage_of(world)
    Followed(stage.streams("salesforce")["salesforce.accounts"]).catch_up()
    assert asked(stage, "POST", "/jobs/query") == []


def test_a_query_that_bulk_refuses_for_itself_is_fatal(world: World, stage_of: StageOf) -> None:
    stage = stage_of(world)
    stream: Any = stage.streams("salesforce")["salesforce.accounts"]
    with pytest.raises(FatalError, match="MALFORMED_QUERY"):
        stream._jobs.create("SELECT")


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1).filter(lambda one: one != "")


@given(
    rows=st.lists(st.tuples(TEXTS, st.booleans(), st.none() | st.integers(), st.none() | st.floats(allow_nan=False))),
    owner=st.none() | TEXTS,
)
def test_any_text_comes_through(rows: list[tuple[str, bool, int | None, float | None]], owner: str | None) -> None:
    """Quotes, commas and line ends are part of texts; null and the empty text are one."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["Id", "IsDeleted", "Seats", "Amount", "Owner.Name", "Owner.Email", "At"])
    for name, deleted, seats, amount in rows:
        written = ["" if one is None else str(one) for one in (seats, amount, owner)]
        writer.writerow([name, str(deleted).lower(), *written, "", "2026-11-20T10:31:00.000Z"])
    types = {"IsDeleted": "boolean", "Seats": "int", "Amount": "currency", "At": "datetime"}
    found = csv_records(text.getvalue().encode(), "Case", types)
    assert [(one["Id"], one["IsDeleted"], one["Seats"], one["Amount"]) for one in found] == rows
    for one in found:
        assert one["Owner"] == (None if owner is None else {"Name": owner})
        assert one["At"] == "2026-11-20T10:31:00.000+0000"


@pytest.mark.parametrize("body", [
    b'"Id","IsDeleted"\n"001","false"\n"002',
    b'"Id","IsDeleted"\n"001"\n',
    b'"Id","IsDeleted"\n"001","perhaps"\n',
    b'"Id","IsDeleted"\n"\xff\xfe","false"\n',
])  # fmt: skip
def test_damaged_results_are_not_read(body: bytes) -> None:
    with pytest.raises(TruncatedBodyError):
        csv_records(body, "Account", {"IsDeleted": "boolean"})


def test_nul_bytes_are_left_out() -> None:
    assert csv_records(b'"Id"\n"a\0b"\n', "Account", {})[0]["Id"] == "ab"

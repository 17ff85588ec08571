"""Mapping files and rows: what is valid, and what exactly is said of what is not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.file_import.mapping import LARGEST_VALUE, load_mapping
from connectors.file_import.sealed import refuse_sealed
from connectors.file_import.survey import in_ranges, survey
from connectors.file_import.tables import open_table
from tests.file_import.conftest import Prepare, mapping_of, row, write, write_mapping
from vitals.errors import BadRecordError, UserError


def test_a_row_is_an_event(tmp_path: Path) -> None:
    mapping = write_mapping(tmp_path / "m.yaml", mapping_of("usage"))
    event = mapping.event(row(3), "unused")
    assert (event.kind, event.object_type, event.source_id) == ("product.feature_used", "usage", "r3")
    assert event.event_time == datetime(2026, 7, 4, 9, tzinfo=UTC), "Lisbon is an hour ahead in July"
    assert (event.account_ref, event.user, event.value) == ("crm:account:acme-3", "u3", Decimal(3))
    assert event.properties == {"feature": "search"}


@pytest.mark.parametrize(
    ("time", "text"),
    [
        ({"column": "at"}, "2026-07-04T10:00:00+01:00"),
        ({"column": "at", "zone": "Europe/Lisbon"}, "2026-07-04 10:00"),
        ({"column": "at", "zone": "Europe/Lisbon"}, "2026-07-04T09:00:00Z"),
        ({"column": "at", "format": "%d.%m.%Y %H:%M", "zone": "UTC"}, "04.07.2026 09:00"),
        ({"column": "at", "format": "epoch_seconds"}, 1783155600),
        ({"column": "at", "format": "epoch_seconds"}, "1783155600.0"),
        ({"column": "at", "format": "epoch_milliseconds"}, "1783155600000"),
    ],
)
def test_forms_of_event_time(tmp_path: Path, time: dict[str, str], text: Any) -> None:
    mapping = write_mapping(tmp_path / "m.yaml", mapping_of("usage") | {"event_time": time})
    assert mapping.event(row(1, at=text), "r").event_time == datetime(2026, 7, 4, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "wrong", "reason"),
    [
        ({}, {"at": "soon"}, "at is not a time in the form iso: 'soon'."),
        ({}, {"at": None}, "at is empty."),
        ({}, {"at": "0001-01-01T00:00:00+14:00"}, "at is outside the years that a date can hold"),
        ({"event_time": {"column": "at"}}, {}, "at has no offset and the mapping no event_time.zone"),
        ({}, {"crm": ""}, "crm is empty."),
        ({}, {"id": ""}, "id is empty."),
        ({}, {"lines": "many"}, "lines is not a number: 'many'."),
        ({}, {"lines": "nan"}, "lines is not a number"),
        ({}, {"lines": str(LARGEST_VALUE)}, "lines must be smaller than"),
        ({"kind": {"column": "what"}}, {"what": "weather.rained"}, "what is 'weather.rained', whose domain has no"),
        ({"kind": {"column": "what", "values": {"a": "crm.x"}}}, {"what": "b"}, "what is 'b', which the mapping"),
    ],
)  # fmt: skip
def test_a_bad_row_says_which_column_and_why(
    tmp_path: Path, told: dict[str, Any], wrong: dict[str, Any], reason: str
) -> None:
    mapping = write_mapping(tmp_path / "m.yaml", mapping_of("usage") | told)
    with pytest.raises(BadRecordError) as raised:
        mapping.event(row(1, **wrong), "r")
    assert str(raised.value).startswith(reason)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"name": "No Name"}, "name: 'No Name' does not match"),
        ({"columns": 1}, "the mapping: Additional properties are not allowed ('columns' was unexpected)"),
        ({"event_time": {}}, "event_time: 'column' is a required property"),
        ({"event_time": {"column": "at", "zone": "Lisbon"}}, "event_time.zone Lisbon: use one such as"),
        ({"event_time": {"column": "at", "format": "rfc"}}, "event_time.format rfc: use iso, epoch_seconds"),
        ({"kind": "weather.rained"}, "the kind weather.rained: its domain must be one of"),
        ({"kind": {"column": "w", "values": {"a": "weather.rained"}}}, "the kind weather.rained"),
    ],
)
def test_a_wrong_mapping_is_the_users_mistake(tmp_path: Path, told: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as raised:
        write_mapping(tmp_path / "m.yaml", mapping_of("usage") | told)
    assert str(tmp_path / "m.yaml") in str(raised.value)
    assert said in str(raised.value)


def test_what_cannot_be_opened_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        open_table(tmp_path / "absent.csv")
    with pytest.raises(UserError, match=r"docs/import\.md"):
        load_mapping(tmp_path / "absent.yaml")
    (tmp_path / "rows.txt").write_text("id\n1\n")
    with pytest.raises(UserError, match="--format, one of csv, jsonl, parquet"):
        open_table(tmp_path / "rows.txt")
    assert open_table(tmp_path / "rows.txt", "csv").columns == ("id",)
    with pytest.raises(UserError, match="is not a Parquet file"):
        open_table(tmp_path / "rows.txt", "parquet")
    (tmp_path / "twice.csv").write_text("a,b,a\n")
    with pytest.raises(UserError, match="more than one column called 'a'"):
        open_table(tmp_path / "twice.csv")
    (tmp_path / "open.csv").write_text('a,b\n1,"no end\n')
    with pytest.raises(UserError, match="is not CSV after line 2"):
        list(open_table(tmp_path / "open.csv").rows())


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_missing_column_is_named_with_those_found(import_file: Prepare, suffix: str) -> None:
    file = import_file("usage", [row(1)], suffix, user="colour", value="size")
    with pytest.raises(UserError) as raised:
        survey(file.table, file.mapping, file.digest)
    assert str(raised.value) == (
        f"{file.path} has no column 'colour', 'size', which the mapping names; "
        "it has 'id', 'at', 'crm', 'person', 'lines', 'what'."
    )


def test_rows_that_cannot_be_read_are_counted_with_their_number(import_file: Prepare) -> None:
    file = import_file("usage", [row(n) for n in range(4)])
    with file.path.open("ab") as content:
        content.write(b"\nr9,too,few\nr10,2026-07-01T00:00:00,\xff,u,1,x\nr0,2026-07-01T00:00:00,a,u,1,x\n")
    found = survey(file.table, file.mapping, file.digest)
    assert (found.rows, found.usable, found.repeated, found.bad) == (7, 5, 1, 2)
    assert found.problems == [
        "Row 5: has 3 fields where the header has 6.",
        "Row 6: is not UTF-8 text.",
    ]


def test_lines_that_are_no_objects(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b'{"a": 1}\n\n[1]\n{"a":\n{"a": "\xff"}\n')
    table = open_table(tmp_path / "x.jsonl")
    good, *bad = table.rows()
    assert good == {"a": 1}
    assert [table.reason(one).partition(":")[0] for one in bad] == [
        "is not a JSON object in UTF-8.", "is not JSON", "is not a JSON object in UTF-8.",
    ]  # fmt: skip


def test_a_file_of_which_nothing_can_be_used_is_refused(import_file: Prepare) -> None:
    file = import_file("usage", [row(n, at="soon") for n in range(3)])
    with pytest.raises(UserError, match=r"None of the 3 rows .* Row 1: at is not a time"):
        survey(file.table, file.mapping, file.digest)


@given(st.sets(st.integers(0, 40)))
def test_day_ranges_name_exactly_the_days(numbers: set[int]) -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC).date()
    days = {first + timedelta(days=number) for number in numbers}
    told = in_ranges(days).partition(" and ")[0]
    named = set()
    for one in filter(None, told.split(", ")):
        start, _, end = one.partition(" to ")
        start, end = (datetime.fromisoformat(day).date() for day in (start, end or start))
        named |= {start + timedelta(days=number) for number in range((end - start).days + 1)}
    assert named == days or " more" in in_ranges(days)


def test_sealed_days_are_named(tmp_path: Path) -> None:
    days = {"events.product": {datetime(2026, 7, day, tzinfo=UTC).date() for day in (1, 2, 5, 9)}}
    with pytest.raises(UserError, match=r"sealed \(2026-07-01 to 2026-07-02, 2026-07-05; sealed before 2026-07-06\)"):
        refuse_sealed(tmp_path, days, {"events.product": datetime(2026, 7, 6, tzinfo=UTC)})
    refuse_sealed(tmp_path, days, {"events.product": datetime(2026, 7, 1, tzinfo=UTC)})
    refuse_sealed(tmp_path, days, {})


def test_formats_hold_the_same_rows(tmp_path: Path) -> None:
    rows = [row(n) for n in range(5)]
    mapping = write_mapping(tmp_path / "m.yaml", mapping_of("usage"))
    events = [
        [mapping.event(one, "r") for one in open_table(write(tmp_path / f"x{suffix}", rows)).rows()]
        for suffix in (".csv", ".jsonl", ".parquet")
    ]
    assert events[0] == events[1] == events[2]

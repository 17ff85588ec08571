"""The migrations make exactly what the metadata says, whoever runs them and however often."""

import re
import threading
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from embedded.endpoints import Endpoints
from sinks.timescale.migrate import engine, upgrade
from sinks.timescale.tables import FUNCTIONS, VIEWS, metadata
from tests.conftest import ROOT
from tests.sinks.conftest import dsn_of
from vitals.errors import UserError


def test_migrations_equal_the_metadata(dsn: str) -> None:
    with engine(dsn).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True, "compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_forgotten_migration_would_show(dsn: str, database: psycopg.Connection[Any]) -> None:
    database.execute("alter table health_scores drop column coverage")
    with engine(dsn).connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [(change[0], change[2], change[3].name) for change in differences] == [
        ("add_column", "health_scores", "coverage")
    ]


def test_views_equal_their_queries(database: psycopg.Connection[Any]) -> None:
    migrated = database.execute("select viewname, definition from pg_views where schemaname = 'public'").fetchall()
    assert {name for name, _ in migrated} == set(VIEWS)
    for name, definition in migrated:
        database.execute(f"create temp view wanted as {VIEWS[name]}")
        row = database.execute("select definition from pg_views where viewname = 'wanted'").fetchone()
        assert row == (definition,)
        database.execute("drop view wanted")


def test_functions_equal_their_queries(database: psycopg.Connection[Any]) -> None:
    for name, (signature, body) in FUNCTIONS.items():
        asked = (
            "select pg_get_function_result(oid), pg_get_function_arguments(oid), prosrc"
            "  from pg_proc where oid = %s::regproc"
        )
        migrated = database.execute(asked, (name,)).fetchone()
        database.execute(f"create function pg_temp.{signature} as $body$\n{body.strip()}\n$body$")
        wanted = database.execute(asked, (f"pg_temp.{name}",)).fetchone()
        assert migrated is not None
        assert wanted is not None
        assert migrated[:2] == wanted[:2]
        assert migrated[2].split() == wanted[2].split()


def test_migrations_may_run_twice_and_at_once(stack: Endpoints) -> None:
    name = f"sinks_{uuid4().hex[:8]}"
    with psycopg.connect(stack.postgres_dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    dsn = dsn_of(name, stack.postgres_dsn)
    together = threading.Barrier(4)
    faults: list[Exception] = []

    def migrate() -> None:
        together.wait()
        try:
            upgrade(dsn)
        except Exception as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    upgrade(dsn)
    assert faults == []
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [("0006",)]


def test_a_missing_server_is_one_sentence() -> None:
    with pytest.raises(UserError, match="is it running"):
        upgrade("postgresql://vitals@127.0.0.1:1/vitals")


def test_accounts_are_the_newest_versions(database: psycopg.Connection[Any]) -> None:
    first, second = uuid4(), uuid4()
    for account_id, day, name in [(first, 1, "Old"), (first, 3, "New"), (first, 2, "Middle"), (second, 1, "Only")]:
        database.execute(
            "insert into account_profiles (account_id, valid_from, crm_id, name, created_at)"
            " values (%s, make_date(2026, 1, %s), 'x', %s, now())",
            (account_id, day, name),
        )
    rows = database.execute("select account_id, name from accounts").fetchall()
    assert sorted(rows) == sorted([(first, "New"), (second, "Only")])


def test_the_keys_of_the_contract() -> None:
    """docs/design/0001 is what other parts build on: its table of columns is read, not repeated."""
    text = (ROOT / "docs/design/0001-first-cut-contracts.md").read_text()
    keys = re.findall(r"^\| `(\w+)` \|.*?PK \(([\w, ]+)\)", text, re.MULTILINE)
    assert len(keys) == 11
    for name, key in keys:
        table = metadata.tables[name]
        assert [column.name for column in table.primary_key] == key.split(", ")

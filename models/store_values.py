"""Day values, accounts and published scores from PostgreSQL, for the commands that explain them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from psycopg.rows import dict_row

from analytics.health.day_values import DayValues
from analytics.health.model import HealthModel, parse_model
from analytics.health.windows import day_values
from vitals.errors import RetriableError, UserError
from vitals.settings import Settings

VALUES = """
select account_id,
       metric,
       floor(extract(epoch from window_start) / 86400)::int as day,
       (value * 1000000)::bigint as value
  from metric_values
 where grain = 'day' and abs(value) <= 10000000000 and (%(account)s::uuid is null or account_id = %(account)s)
"""

NAMED = """
select distinct account_id, crm_id, name
  from account_profiles
 where account_id::text = %(named)s or crm_id = %(named)s or lower(name) = lower(%(named)s)
"""

MODELS = "select model, definition from health_models order by model"


@dataclass(frozen=True)
class StoredValues:
    """Day values of some accounts as known now."""

    account_ids: Sequence[UUID]
    days: DayValues


def connect(settings: Settings) -> psycopg.Connection:
    """A connection that reads.

    Raises:
        RetriableError: PostgreSQL does not answer.
    """
    try:
        connection = psycopg.connect(settings.postgres_dsn.get_secret_value(), connect_timeout=5)
    except psycopg.OperationalError as error:
        raise RetriableError(f"PostgreSQL does not answer: {error}") from error
    connection.read_only = True
    return connection


def account_named(connection: psycopg.Connection, named: str) -> tuple[UUID, str]:
    """The account of an id, CRM id or name, and what it is called.

    Raises:
        UserError: there is none, or there are several.
    """
    rows = connection.execute(NAMED, {"named": named}).fetchall()
    accounts = {row[0]: row for row in rows}
    if not accounts:
        raise UserError(f"No account has the id, CRM id or name {named}.")
    if len(accounts) > 1:
        ids = ", ".join(str(account_id) for account_id in sorted(accounts))
        raise UserError(f"{len(accounts)} accounts are called {named}: name one by its id, {ids}.")
    account_id, crm_id, name = rows[0]
    return account_id, name or crm_id


def stored_values(connection: psycopg.Connection, models: Sequence[HealthModel], account: UUID | None) -> StoredValues:
    """Every day value that the models read, of one account or of all."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(VALUES, {"account": account}).fetchall()
    accounts = sorted({row["account_id"] for row in rows})
    metrics = sorted({row["metric"] for row in rows})
    place, code = ({name: number for number, name in enumerate(names)} for names in (accounts, metrics))
    days = day_values(
        models,
        len(accounts),
        np.array([place[row["account_id"]] for row in rows], dtype=np.int64),
        metrics,
        np.array([code[row["metric"]] for row in rows], dtype=np.int64),
        np.array([row["day"] for row in rows], dtype=np.int64),
        np.array([row["value"] for row in rows], dtype=np.int64),
    )
    return StoredValues(accounts, days)


def stored_model(connection: psycopg.Connection, version: str | None) -> HealthModel:
    """A model that scores were published with; None: the newest.

    Raises:
        UserError: none was, under this version.
    """
    models: dict[str, Any] = dict(connection.execute(MODELS).fetchall())
    if not models:
        raise UserError("No scores were published yet: `vitals up` publishes some.")
    if version is None:
        return parse_model(models[max(models)])
    if version not in models:
        raise UserError(f"No scores were published under {version}: there are {', '.join(models)}.")
    return parse_model(models[version])

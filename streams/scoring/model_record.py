"""Tells readers which model the scores are of: the row of `health_models`."""

import threading

import psycopg
import structlog
from psycopg.types.json import Jsonb

from analytics.health.model import HealthModel
from vitals.settings import Settings

log = structlog.get_logger()

UPSERT = """
insert into health_models (model, definition) values (%s, %s)
on conflict (model) do update set definition = excluded.definition
"""

PAUSE_SECONDS = 2.0


def record_model(settings: Settings, model: HealthModel, stopping: threading.Event) -> None:
    """Writes the model's definition; waits while PostgreSQL does not answer, until stopping."""
    while not stopping.is_set():
        try:
            with psycopg.connect(settings.postgres_dsn.get_secret_value(), connect_timeout=5) as connection:
                connection.execute(UPSERT, (model.version, Jsonb(dict(model.definition))))
        except psycopg.Error as error:
            log.warning("model_not_recorded", model=model.version, reason=str(error), seconds=PAUSE_SECONDS)
            stopping.wait(PAUSE_SECONDS)
        else:
            return

"""The process of `vitals sink redis`."""

from sinks.process import run_sink
from sinks.redis.store import NAME, RedisDestination


def run() -> None:
    """Runs until a signal ends it."""
    run_sink(
        NAME,
        lambda settings: RedisDestination(
            settings.redis_url.get_secret_value(), settings.postgres_dsn.get_secret_value()
        ),
    )

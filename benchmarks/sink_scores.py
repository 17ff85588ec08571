"""How fast health scores go into PostgreSQL, from Avro bytes to committed rows, beside a bare COPY of the same rows.

    python -m benchmarks.sink_scores [rows]

Prints rows a second of the sink and of the floor, both into a table with the same key and index, on the embedded
PostgreSQL. Target: 20,000 rows a second.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import psycopg

from embedded.stack import Stack
from sinks.delivery import HEALTH_SCORES, Message, Source, Step, read
from sinks.timescale.migrate import upgrade
from sinks.timescale.rows import COLUMNS, rows_of
from sinks.timescale.store import TimescaleDestination
from vitals.avro import AvroSerde, Registry
from vitals.process import tune_collector

SIGNALS = 8
TICKS = 365
ACCOUNTS_A_BUNDLE = 10
"""With 365 ticks each: about the 512 KB that a bundle may have."""
BUNDLES_A_BATCH = 8
SOURCE = Source(HEALTH_SCORES, 0)
FIRST_TICK = datetime(2026, 1, 1, tzinfo=UTC)


def encoded_bundles(serde: AvroSerde, rows: int) -> Iterator[bytes]:
    """Bundles of `rows` scores together."""
    seeded = random.Random(7)
    for position in range(max(1, rows // (ACCOUNTS_A_BUNDLE * TICKS))):
        accounts = [
            {
                "account_id": str(UUID(int=seeded.getrandbits(128))),
                "scores": [
                    {
                        "tick": FIRST_TICK + timedelta(days=day),
                        "score": seeded.randrange(100_000_000),
                        "band": "watch",
                        "trend": "flat",
                        "coverage": 1_000_000,
                        "contributions": [seeded.randrange(20_000_000) for _ in range(SIGNALS - 1)] + [None],
                        "signal_values": [seeded.random() * 50 for _ in range(SIGNALS - 1)] + [None],
                    }
                    for day in range(TICKS)
                ],
            }
            for _ in range(ACCOUNTS_A_BUNDLE)
        ]
        bundle = {
            "model": "health-benchmark",
            "partition": 0,
            "position": position,
            "live": False,
            "watermark": FIRST_TICK,
            "accounts": accounts,
            "written_at": FIRST_TICK,
        }
        yield serde.encode(HEALTH_SCORES, "HealthScoresBundle", bundle)


def sink_seconds(dsn: str, serde: AvroSerde, bundles: list[bytes]) -> float:
    """Time to decode and apply every bundle."""
    destination = TimescaleDestination(dsn)
    destination.claim({SOURCE: 0})
    started = time.perf_counter()
    for start, end in pairwise([*range(0, len(bundles), BUNDLES_A_BATCH), len(bundles)]):
        messages = [Message(SOURCE, offset, None, bundles[offset]) for offset in range(start, end)]
        deliveries = [delivery for message in messages if (delivery := read(serde, message))]
        destination.apply(deliveries, {SOURCE: Step(start, end)})
    seconds = time.perf_counter() - started
    destination.close()
    return seconds


def copy_lines(serde: AvroSerde, offset: int, bundle: bytes) -> str:
    """A bundle's rows as COPY's text."""
    delivery = read(serde, Message(SOURCE, offset, None, bundle))
    assert delivery is not None
    rows = rows_of([delivery])["health_scores"].values()
    return "".join("\t".join("\\N" if value is None else str(value) for value in row) + "\n" for row in rows)


def copy_seconds(dsn: str, lines: list[str]) -> float:
    """Time to COPY prepared text into a table with the same key and index."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table floor (like health_scores including all)")
        columns = ", ".join(COLUMNS["health_scores"])
        started = time.perf_counter()
        with connection.cursor().copy(f"copy floor ({columns}) from stdin") as copy:
            for line in lines:
                copy.write(line)
        return time.perf_counter() - started


def main() -> None:
    """Measures and prints."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    tune_collector()
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder) / "state").infrastructure(("postgres", "registry")) as endpoints,
    ):
        registry = Registry(endpoints.registry_url)
        registry.register(HEALTH_SCORES, "HealthScoresBundle")
        serde = AvroSerde(registry)
        upgrade(endpoints.postgres_dsn)
        bundles = list(encoded_bundles(serde, rows))
        lines = [copy_lines(serde, offset, bundle) for offset, bundle in enumerate(bundles)]
        rows = sum(line.count("\n") for line in lines)
        sink, copy = sink_seconds(endpoints.postgres_dsn, serde, bundles), copy_seconds(endpoints.postgres_dsn, lines)
    size = sum(map(len, bundles)) / rows
    print(f"{rows:,} scores of {SIGNALS} signals in {len(bundles)} bundles, {size:.0f} B a score")
    print(f"sink, from Avro to committed rows: {rows / sink:>9,.0f} rows/s")
    print(f"floor, bare COPY of ready text:    {rows / copy:>9,.0f} rows/s ({sink / copy:.1f} times as fast)")


if __name__ == "__main__":
    main()

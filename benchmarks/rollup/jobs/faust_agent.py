"""Faust: an agent that does nothing, or the job with a tumbling table as Faust's manual has it.

Arguments as JSON: bootstrap, registry, topic, ends, partitions, table (whether the job), rows (file for the result).
Needs the table's changelog topic, with as many partitions as the source.
"""

import asyncio
import io
import json
import os
import sys
import time
import urllib.request
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import faust

APP, TABLE = "benchmark-faust", "rows"
given = json.loads(sys.argv[1])
total = sum(given["ends"])

app = faust.App(
    APP,
    broker=f"kafka://{given['bootstrap']}",
    store="memory://",
    datadir=Path.cwd(),
    web_enabled=False,
    topic_partitions=given["partitions"],
    topic_allow_declare=False,
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
    broker_session_timeout=10.0,
    broker_heartbeat_interval=3.0,
    stream_recovery_delay=0.0,
    stream_wait_empty=False,
)


def report(began: float, ended: float) -> None:
    """Tells the harness, writes the table's windows and ends."""
    print("@", json.dumps({"began": began, "ended": ended, "events": total}), flush=True)
    time.sleep(0.2)
    if given["table"]:
        with Path(given["rows"]).open("w") as file:
            for (account, (start, _)), row in windows.table.data.items():
                row |= {"value": str(Decimal(row["value"]).scaleb(-6)), "users": len(row["users"])}
                file.write(json.dumps([account, round(start * 1_000_000), *row.values()]) + "\n")
    os._exit(0)  # stopping in good order takes Faust many seconds


class AvroCodec(faust.Codec):
    """Reads the event's Confluent framing; instants become seconds, values millionths."""

    def __init__(self, schema: Any) -> None:
        super().__init__()
        self._schema = schema

    def _loads(self, body: bytes) -> Any:
        event: Any = fastavro.schemaless_reader(io.BytesIO(body[5:]), self._schema, None)
        value = event["value"]
        return {
            "account_id": event["account_id"],
            "user_id": event["user_id"],
            "kind": event["kind"],
            "event_time": event["event_time"].timestamp(),
            "value": None if value is None else int(value.scaleb(6)),
        }


class Event(faust.Record):
    """The fields that the job needs."""

    account_id: str
    user_id: str | None
    kind: str
    event_time: float
    value: int | None


if given["table"]:
    with urllib.request.urlopen(f"{given['registry']}/schemas/ids/{given['schema_id']}", timeout=30) as answer:
        schema = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    topic = app.topic(given["topic"], value_type=Event, value_serializer=AvroCodec(schema), key_serializer="raw")
    windows = (
        app.Table(TABLE, default=dict, partitions=given["partitions"])
        .tumbling(60.0, expires=timedelta(days=30))
        .relative_to_field(Event.event_time)  # type: ignore[arg-type]  # a field descriptor on the class
    )
else:
    topic = app.topic(given["topic"], value_serializer="raw", key_serializer="raw")


def added(row: dict[str, Any], event: Event) -> dict[str, Any]:
    """A window's row with one more event."""
    users = row.get("users", [])
    return {
        "events": row.get("events", 0) + 1,
        "feature": row.get("feature", 0) + (event.kind == "product.feature_used"),
        "tracked": row.get("tracked", 0) + (event.kind == "product.event_tracked"),
        "without_value": row.get("without_value", 0) + (event.value is None),
        "value": row.get("value", 0) + (event.value or 0),
        "users": users if event.user_id is None or event.user_id in users else [*users, event.user_id],
    }


@app.agent(topic)
async def work(stream: Any) -> None:
    """Counts to the end."""
    began, count = 0.0, 0
    async for event in stream:
        if not count:
            began = time.time()
        count += 1
        if given["table"]:
            windows[event.account_id] = added(windows[event.account_id].value(), event)
        if count == total:
            report(began, time.time())


async def main() -> None:
    """Runs until the end is reported."""
    await app.start()
    await asyncio.sleep(3600)


asyncio.run(main())

"""Quix Streams: a tumbling window by event time, reduced to the job's row. Runs in the environment of Quix.

Arguments as JSON: bootstrap, registry, schema_id, topic, ends, rows (file for the result).
"""

import io
import json
import sys
import time
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
from quixstreams import Application
from quixstreams.models import Deserializer, SerializationContext

MINUTE_MS, GRACE_MS = 60_000, 360_000
given = json.loads(sys.argv[1])
total = sum(given["ends"])
newest: dict[tuple[str, int], dict[str, Any]] = {}
began, count = 0.0, 0


class AvroDeserializer(Deserializer):
    """Reads the event's Confluent framing; instants become milliseconds, values millionths."""

    def __init__(self, schema: Any) -> None:
        super().__init__()
        self._schema = schema

    def __call__(self, value: bytes, ctx: SerializationContext) -> Any:
        del ctx
        event: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), self._schema, None)
        amount = event["value"]
        return {
            "user_id": event["user_id"],
            "kind": event["kind"],
            "event_ms": int(event["event_time"].timestamp() * 1000),
            "value": None if amount is None else int(amount.scaleb(6)),
        }


def first(event: dict[str, Any]) -> dict[str, Any]:
    """A window's row after its first event."""
    return added({"events": 0, "feature": 0, "tracked": 0, "without_value": 0, "value": 0, "users": []}, event)


def added(row: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """A window's row with one more event."""
    user, value = event["user_id"], event["value"]
    row["events"] += 1
    row["feature"] += event["kind"] == "product.feature_used"
    row["tracked"] += event["kind"] == "product.event_tracked"
    row["without_value"] += value is None
    row["value"] += value or 0
    if user is not None and user not in row["users"]:
        row["users"].append(user)
    return row


def keep(window: dict[str, Any], key: Any, timestamp: int, headers: Any) -> None:
    """Takes a window's row as it is now; a real application would write it to a topic."""
    del timestamp, headers
    global count
    newest[(key, window["start"])] = window["value"]
    count += 1
    if count == total:
        print("@", json.dumps({"began": began, "ended": time.time(), "events": total}), flush=True)
        app.stop()


def start(event: dict[str, Any]) -> None:
    """Notes when the first event came."""
    del event
    global began
    began = began or time.time()


with urllib.request.urlopen(f"{given['registry']}/schemas/ids/{given['schema_id']}", timeout=30) as answer:
    avro_schema = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
app = Application(
    broker_address=given["bootstrap"],
    consumer_group="benchmark-quix",
    auto_offset_reset="earliest",
    state_dir=Path.cwd() / "state",
    loglevel="WARNING",
)
source = app.topic(
    given["topic"],
    key_deserializer="string",
    value_deserializer=AvroDeserializer(avro_schema),
    timestamp_extractor=lambda event, *_: event["event_ms"],
)
frame = app.dataframe(source).update(start)
windows = frame.tumbling_window(MINUTE_MS, GRACE_MS).reduce(reducer=added, initializer=first).current()
windows.update(keep, metadata=True)
app.run()
with Path(given["rows"]).open("w") as file:
    for (account, window_start), row in newest.items():
        row |= {"value": str(Decimal(row["value"]).scaleb(-6)), "users": len(row["users"])}
        file.write(json.dumps([account, window_start * 1000, *row.values()]) + "\n")

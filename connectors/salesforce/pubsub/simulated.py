"""The Pub/Sub API over a simulated world: change events of accounts and all else that a query shows, by gRPC.

Tests start it beside the simulators; `vitals simulate` speaks HTTP only.
"""

import contextlib
import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fastavro
import grpc
import orjson

from connectors.salesforce.pubsub.messages import (
    CUSTOM,
    PACKAGE,
    ConsumerEvent,
    FetchRequest,
    FetchResponse,
    ProducerEvent,
    SchemaInfo,
    SchemaRequest,
)
from connectors.simulation.calendar import DAY, epoch
from connectors.simulation.crm_records import SCHEMAS, rows
from connectors.simulation.soql import Row
from connectors.simulation.stage import Simulation

_KEPT_SECONDS = 3 * DAY
_LOOK_SECONDS = 0.02


def change_schema(object_name: str) -> dict[str, Any]:
    """Avro schema of an object's change events: the header, and a field that may be absent."""
    texts = {"type": "array", "items": "string"}
    header = {
        "type": "record",
        "name": "ChangeEventHeader",
        "fields": [
            {"name": "entityName", "type": "string"},
            {"name": "recordIds", "type": texts},
            {"name": "changeType", "type": "string"},
            {"name": "changeOrigin", "type": "string"},
            {"name": "transactionKey", "type": "string"},
            {"name": "sequenceNumber", "type": "int"},
            {"name": "commitTimestamp", "type": "long"},
            {"name": "commitNumber", "type": "long"},
            {"name": "commitUser", "type": "string"},
            {"name": "nulledFields", "type": texts},
            {"name": "diffFields", "type": texts},
            {"name": "changedFields", "type": texts},
        ],
    }
    fields = [
        {"name": "ChangeEventHeader", "type": header},
        {"name": "LastModifiedDate", "type": ["null", "long"], "default": None},
    ]
    return {"type": "record", "name": f"{object_name}ChangeEvent", "namespace": "com.sforce.eventbus", "fields": fields}


class PubSubSimulator:
    """A gRPC server on a free port of this machine; `address` says which."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._stopping = threading.Event()
        self.subscriptions: list[Any] = []
        self._server = grpc.server(ThreadPoolExecutor(16))
        handlers = {
            "Subscribe": grpc.stream_stream_rpc_method_handler(
                self.subscribe, FetchRequest.FromString, FetchResponse.SerializeToString
            ),
            "GetSchema": grpc.unary_unary_rpc_method_handler(
                self.schema, SchemaRequest.FromString, SchemaInfo.SerializeToString
            ),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"{PACKAGE}.PubSub", handlers),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        """Ends every subscription."""
        self._stopping.set()
        self._server.stop(None).wait()

    def schema(self, request: Any, context: grpc.ServicerContext) -> Any:
        """`GetSchema`."""
        self._authorize(context)
        object_name = request.schema_id.removeprefix("schema-of-")
        if object_name not in SCHEMAS:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "schema not found")
        return SchemaInfo(schema_json=orjson.dumps(change_schema(object_name)).decode(), schema_id=request.schema_id)

    def subscribe(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """`Subscribe`: as many events as were asked for, as they happen in source time."""
        self._authorize(context)
        first = next(requests)
        object_name = first.topic_name.removeprefix("/data/").removesuffix("ChangeEvent")
        if object_name not in SCHEMAS:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no topic {first.topic_name}")
        now = self._simulation.clock.now_seconds()
        since = int.from_bytes(first.replay_id) if first.replay_preset == CUSTOM else now
        wanted = [first.num_requested]
        threading.Thread(target=_gather, args=(requests, wanted), daemon=True).start()
        sent: set[tuple[str, str]] = set()
        if first.replay_preset != CUSTOM:
            sent = {(row["Id"], row["SystemModstamp"]) for _, row in self._changed(object_name, since)}
        # Whoever sees the subscription here may count on every change from now on.
        self.subscriptions.append(first)
        if first.replay_preset == CUSTOM and (self._fault("cdc_expired") or since < now - _KEPT_SECONDS):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The Replay ID validation failed.")
        given = 0
        while context.is_active() and not self._stopping.is_set():
            if self._fault("cdc_dropped"):
                context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was reset")
            fresh = [
                (at, row)
                for at, row in self._changed(object_name, since)
                if (row["Id"], row["SystemModstamp"]) not in sent
            ]
            fresh = fresh[: sum(wanted) - given]
            if not fresh:
                time.sleep(_LOOK_SECONDS)
                continue
            sent.update((row["Id"], row["SystemModstamp"]) for _, row in fresh)
            given += len(fresh)
            kind = "GAP_UPDATE" if self._fault("cdc_gap") else None
            events = [self._event(object_name, at, row, kind) for at, row in fresh]
            yield FetchResponse(
                events=events, latest_replay_id=events[-1].replay_id, pending_num_requested=sum(wanted) - given
            )

    def _changed(self, object_name: str, since: int) -> list[tuple[int, Row]]:
        now = self._simulation.clock.now_seconds()
        found = rows(self._simulation.world, object_name, now, deleted=True)
        timed = [(epoch(row["SystemModstamp"]), row) for row in found]
        return sorted((one for one in timed if one[0] >= since), key=lambda one: (one[0], one[1]["Id"]))

    def _event(self, object_name: str, at: int, row: Row, kind: str | None) -> Any:
        created = row["CreatedDate"] == row["SystemModstamp"]
        told = "DELETE" if row.get("IsDeleted") else "CREATE" if created else "UPDATE"
        change = {
            "ChangeEventHeader": {
                "entityName": object_name,
                "recordIds": [row["Id"]],
                "changeType": kind or told,
                "changeOrigin": "com/salesforce/api/rest/67.0;client=simulator",
                "transactionKey": f"{at}-{row['Id']}",
                "sequenceNumber": 1,
                "commitTimestamp": at * 1000,
                "commitNumber": at,
                "commitUser": row.get("OwnerId") or "",
                "nulledFields": [],
                "diffFields": [],
                "changedFields": [],
            },
            "LastModifiedDate": None if kind else at * 1000,
        }
        written = io.BytesIO()
        fastavro.schemaless_writer(written, fastavro.parse_schema(change_schema(object_name)), change)
        event = ProducerEvent(id=f"{at}-{row['Id']}", schema_id=f"schema-of-{object_name}", payload=written.getvalue())
        # A second's changes are given again behind its replay id: at least once.
        return ConsumerEvent(event=event, replay_id=at.to_bytes(8))

    def _fault(self, kind: str) -> bool:
        return self._simulation.faults.take("salesforce", "/", kind) is not None

    def _authorize(self, context: grpc.ServicerContext) -> None:
        metadata = dict(context.invocation_metadata())
        if not {"accesstoken", "instanceurl", "tenantid"} <= set(metadata) or not self._simulation.tokens.accepts(
            "salesforce", str(metadata["accesstoken"])
        ):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "The access token is expired or invalid.")


def _gather(requests: Iterator[Any], wanted: list[int]) -> None:
    """Adds how many events each further request asks for, until the subscription ends."""
    with contextlib.suppress(grpc.RpcError):
        for request in requests:
            wanted.append(request.num_requested)  # noqa: PERF401 - it is read while it grows

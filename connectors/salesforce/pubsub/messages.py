"""The messages of Salesforce's Pub/Sub API (`eventbus.v1`) that following changes needs, as protobuf classes.

Built from their field numbers at import, so that no generated file has to be kept in step with a runtime.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "eventbus.v1"
SUBSCRIBE = f"/{PACKAGE}.PubSub/Subscribe"
GET_SCHEMA = f"/{PACKAGE}.PubSub/GetSchema"

LATEST, CUSTOM = 0, 2
"""Values of `FetchRequest.replay_preset`: from now on, or behind `replay_id`."""

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {"string": _Field.TYPE_STRING, "bytes": _Field.TYPE_BYTES, "int32": _Field.TYPE_INT32}

# The preset is an enumeration there, which an int32 reads and writes alike.
_MESSAGES: dict[str, list[tuple[int, str, str]]] = {
    "ProducerEvent": [(1, "id", "string"), (2, "schema_id", "string"), (3, "payload", "bytes")],
    "ConsumerEvent": [(1, "event", "ProducerEvent"), (2, "replay_id", "bytes")],
    "FetchRequest": [
        (1, "topic_name", "string"),
        (2, "replay_preset", "int32"),
        (3, "replay_id", "bytes"),
        (4, "num_requested", "int32"),
    ],
    "FetchResponse": [
        (1, "events", "ConsumerEvent*"),
        (2, "latest_replay_id", "bytes"),
        (3, "rpc_id", "string"),
        (4, "pending_num_requested", "int32"),
    ],
    "SchemaRequest": [(1, "schema_id", "string")],
    "SchemaInfo": [(1, "schema_json", "string"), (2, "schema_id", "string"), (3, "rpc_id", "string")],
}


def _built() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="salesforce_changes.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            bare = kind.removesuffix("*")
            added = message.field.add(name=field, number=number)
            added.label = _Field.LABEL_REPEATED if kind != bare else _Field.LABEL_OPTIONAL
            if bare in _TYPES:
                added.type = _TYPES[bare]
            else:
                added.type, added.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{bare}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in _MESSAGES
    }


_CLASSES = _built()
ProducerEvent: Any = _CLASSES["ProducerEvent"]
ConsumerEvent: Any = _CLASSES["ConsumerEvent"]
FetchRequest: Any = _CLASSES["FetchRequest"]
FetchResponse: Any = _CLASSES["FetchResponse"]
SchemaRequest: Any = _CLASSES["SchemaRequest"]
SchemaInfo: Any = _CLASSES["SchemaInfo"]

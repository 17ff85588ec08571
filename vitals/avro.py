"""Avro records in the Confluent wire format: a zero byte, the schema id (4 bytes, big endian), the Avro body.

A record's subject is `<topic>-<full name>` (the registry's TopicRecordNameStrategy), because an events topic carries
both events and progress records. Every reader resolves what was written to the newest schema that it knows.
"""

import io
import json
import struct
from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from typing import Any

import fastavro
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, ServerConfig
from confluent_kafka.schema_registry.common._httpx_compat import httpx
from confluent_kafka.schema_registry.common.schema_registry_client import ConfigCompatibilityLevel
from confluent_kafka.schema_registry.error import SchemaRegistryError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_exponential, wait_fixed

from vitals.avro_encoder import Encode, compiled
from vitals.errors import BadRecordError, FatalError, RetriableError

NAMESPACE = "vitals"
_PREFIX = struct.Struct(">bI")
PREFIX_LENGTH = _PREFIX.size
"""Bytes before the Avro body."""

# What the registry's client raises where no answer comes is of whichever HTTP library it took, and no OSError.
UNREACHABLE = (httpx.TransportError, OSError)

Record = dict[str, Any]


@cache
def schema_text(record_name: str) -> str:
    """The newest schema of a record, as JSON text."""
    return (resources.files("schemas") / "avro" / f"{record_name}.avsc").read_text()


@cache
def parsed_schema(record_name: str) -> Any:
    """The newest schema of a record, parsed by fastavro."""
    return fastavro.parse_schema(json.loads(schema_text(record_name)))


@cache
def encoder(record_name: str) -> Encode:
    """Encodes records of the newest schema: compiled where it can be, by fastavro otherwise."""
    schema = parsed_schema(record_name)
    return compiled(schema) or (lambda record: primitive(schema, record))


def primitive(kind: Any, value: Any) -> bytes:
    """A value of an Avro type, such as long or string, as it is written.

    >>> primitive("long", -3), primitive("string", "ab")
    (b'\\x05', b'\\x04ab')
    """
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, kind, value)
    return buffer.getvalue()


def subject(topic: str, record_name: str) -> str:
    """The registry's subject of a record on a topic.

    >>> subject("events.crm", "Event")
    'events.crm-vitals.Event'
    """
    return f"{topic}-{NAMESPACE}.{record_name}"


_while_it_passes = retry(
    retry=retry_if_exception_type(RetriableError), stop=stop_after_attempt(6), wait=wait_fixed(0.5), reraise=True
)
"""A registry whose database was restarted answers 500 until its connections are new."""


def _refused(message: str, error: SchemaRegistryError) -> FatalError | RetriableError:
    """A server's fault passes; what is refused stays refused."""
    return RetriableError(message) if error.http_status_code >= 500 else FatalError(message)


class Registry:
    """The schema registry: registers, looks up and fetches schemas, each once.

    Raises `FatalError` where the registry refuses a schema and `RetriableError` where it cannot be reached for 30 s.
    """

    def __init__(self, url: str) -> None:
        self._client = SchemaRegistryClient({"url": url})
        self._ids: dict[tuple[str, str], int] = {}
        self._writers: dict[int, tuple[str, Any]] = {}

    @_while_it_passes
    def register(self, topic: str, record_name: str) -> int:
        """Registers the newest schema of a record for a topic; repeating it changes nothing. Returns the schema id."""
        name = subject(topic, record_name)
        try:
            identifier: int = self._client.register_schema(name, Schema(schema_text(record_name), "AVRO"))
        except SchemaRegistryError as error:
            if error.http_status_code == 409:
                raise FatalError(
                    f"The schema registry refuses schemas/avro/{record_name}.avsc for {name}: it cannot read every "
                    f"older version (BACKWARD_TRANSITIVE). Give each new field a default and remove none that has "
                    f"none. Registry: {error.error_message}"
                ) from error
            raise _refused(f"The schema registry refuses {name}: {error.error_message}", error) from error
        except UNREACHABLE as error:
            raise RetriableError(f"The schema registry cannot be reached: {error}") from error
        self._ids[(topic, record_name)] = identifier
        return identifier

    @_while_it_passes
    def require_compatibility(self, topic: str, record_name: str) -> None:
        """Makes the registry refuse a schema that cannot read every older version of its subject."""
        try:
            self._client.set_config(
                subject(topic, record_name), ServerConfig(compatibility=ConfigCompatibilityLevel.BACKWARD_TRANSITIVE)
            )
        except SchemaRegistryError as error:
            raise _refused(
                f"The schema registry does not take a compatibility rule for {subject(topic, record_name)}: "
                f"{error.error_message}",
                error,
            ) from error
        except UNREACHABLE as error:
            raise RetriableError(f"The schema registry cannot be reached: {error}") from error

    def writer_id(self, topic: str, record_name: str) -> int:
        """Id of the newest schema of a record for a topic, which `vitals bootstrap` must have registered."""
        key = (topic, record_name)
        if key not in self._ids:
            self._ids[key] = self._look_up(topic, record_name)
        return self._ids[key]

    @retry(
        retry=retry_if_exception_type(RetriableError),
        stop=stop_after_delay(30),
        wait=wait_exponential(0.2, max=3),
        reraise=True,
    )
    def _look_up(self, topic: str, record_name: str) -> int:
        name = subject(topic, record_name)
        try:
            found = self._client.lookup_schema(name, Schema(schema_text(record_name), "AVRO"))
        except SchemaRegistryError as error:
            if error.http_status_code == 404:
                raise FatalError(f"The schema of {name} is not registered: run `vitals bootstrap` first.") from error
            raise RetriableError(f"The schema registry answered {error.http_status_code} for {name}.") from error
        except UNREACHABLE as error:
            raise RetriableError(f"The schema registry cannot be reached: {error}") from error
        if found.schema_id is None:
            raise FatalError(f"The schema registry gave no id for {name}.")
        return found.schema_id

    @retry(
        retry=retry_if_exception_type(RetriableError),
        stop=stop_after_delay(30),
        wait=wait_exponential(0.2, max=3),
        reraise=True,
    )
    def writer_schema(self, identifier: int) -> tuple[str, Any]:
        """Record name and parsed schema behind a schema id.

        Raises:
            BadRecordError: no such schema, or one that Vitals does not know.
            RetriableError: the registry cannot be reached.
        """
        if identifier not in self._writers:
            try:
                text = self._client.get_schema(identifier).schema_str
            except SchemaRegistryError as error:
                if error.http_status_code == 404:
                    raise BadRecordError(f"Schema id {identifier} is not in the registry.") from error
                raise RetriableError(f"The schema registry answered {error.http_status_code}.") from error
            except UNREACHABLE as error:
                raise RetriableError(f"The schema registry cannot be reached: {error}") from error
            schema: Any = fastavro.parse_schema(json.loads(text or "null"))
            self._writers[identifier] = (schema["name"].rpartition(".")[2], schema)
        return self._writers[identifier]

    @retry(
        retry=retry_if_exception_type(RetriableError),
        stop=stop_after_delay(30),
        wait=wait_exponential(0.2, max=3),
        reraise=True,
    )
    def versions(self, record_names: Collection[str]) -> dict[int, tuple[str, str]]:
        """Record name and schema text, by id, of every version of these records on any topic: what may lie there.

        Raises:
            RetriableError: the registry cannot be reached.
        """
        found: dict[int, tuple[str, str]] = {}
        try:
            for name in self._client.get_subjects(deleted=True):
                _, separator, record_name = name.rpartition(f"-{NAMESPACE}.")
                if not separator or record_name not in record_names:
                    continue
                for version in self._client.get_versions(name, deleted=True):
                    registered = self._client.get_version(name, version, deleted=True)
                    if registered.schema_id is not None and registered.schema.schema_str is not None:
                        found[registered.schema_id] = (record_name, registered.schema.schema_str)
        except SchemaRegistryError as error:
            raise RetriableError(f"The schema registry answered {error.http_status_code}.") from error
        except UNREACHABLE as error:
            raise RetriableError(f"The schema registry cannot be reached: {error}") from error
        return found


class AvroSerde:
    """Encodes and decodes the records of the topic table."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._prefixes: dict[tuple[str, str], bytes] = {}

    def encode(self, topic: str, record_name: str, record: Mapping[str, Any]) -> bytes:
        """The record in the wire format, under the topic's registered schema.

        Raises:
            BadRecordError: the record does not fit the schema.
        """
        prefix = self.prefix(topic, record_name)
        try:
            return prefix + encoder(record_name)(record)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise BadRecordError(f"Not a valid {record_name}: {error}") from error

    def prefix(self, topic: str, record_name: str) -> bytes:
        """What precedes the Avro body of a record that is encoded elsewhere."""
        key = (topic, record_name)
        if key not in self._prefixes:
            self._prefixes[key] = _PREFIX.pack(0, self._registry.writer_id(topic, record_name))
        return self._prefixes[key]

    def decode(self, message: bytes | None) -> tuple[str, Record]:
        """Record name and record of one message.

        Raises:
            BadRecordError: not in the wire format, an unknown schema, a body that does not fit, or trailing bytes.
            RetriableError: the registry cannot be reached.
        """
        if message is None or len(message) < _PREFIX.size or message[0] != 0:
            raise BadRecordError("Not in the Confluent wire format: the first byte is not zero or the id is cut.")
        _, identifier = _PREFIX.unpack_from(message)
        name, writer = self._registry.writer_schema(identifier)
        body = io.BytesIO(message)
        body.seek(_PREFIX.size)
        try:
            record = fastavro.schemaless_reader(body, writer, parsed_schema(name))
        except FileNotFoundError as error:
            raise BadRecordError(f"A record called {name} is not one that Vitals reads.") from error
        except Exception as error:  # fastavro raises whatever a broken body trips over
            raise BadRecordError(f"The body is not a readable {name}: {type(error).__name__}: {error}") from error
        if body.tell() != len(message):
            raise BadRecordError(f"{len(message) - body.tell()} bytes follow the {name}.")
        if not isinstance(record, dict):
            raise BadRecordError(f"{name} is not a record.")
        return name, record

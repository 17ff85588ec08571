"""Answers "does it serve yet?" for each kind of part, within about a second and without raising."""

import http.client
import socket
import struct
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import psycopg

PROBE_TIMEOUT_SECONDS = 1.0
LOOPBACK = "127.0.0.1"


class Probe(Protocol):
    """Tells whether a part serves."""

    def ready(self) -> bool:
        """True once the part answers as it should; False otherwise, never an exception."""


@dataclass(frozen=True)
class AliveProbe:
    """For a part that serves nothing: it is ready as soon as it runs."""

    def ready(self) -> bool:
        """Always true; the supervisor asks only while the process lives."""
        return True


@dataclass(frozen=True)
class HttpProbe:
    """Ready when a GET of `url` answers with a 2xx status."""

    url: str

    def ready(self) -> bool:
        """One request, no redirects followed."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or LOOPBACK, parts.port, timeout=PROBE_TIMEOUT_SECONDS)
        try:
            connection.request("GET", parts.path or "/")
            return 200 <= connection.getresponse().status < 300
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@dataclass(frozen=True)
class KafkaProbe:
    """Ready when the broker names at least one live broker in its metadata, that is, once it is unfenced."""

    port: int

    _METADATA_REQUEST = struct.pack(
        ">hhihi", 3, 1, 0, -1, 0
    )  # api key, version 1, correlation, no client id, no topics

    def ready(self) -> bool:
        """One Metadata request on the wire: no client threads, and nothing logged while the broker is down."""
        try:
            with socket.create_connection((LOOPBACK, self.port), PROBE_TIMEOUT_SECONDS) as connection:
                connection.sendall(struct.pack(">i", len(self._METADATA_REQUEST)) + self._METADATA_REQUEST)
                answer = connection.recv(12)  # size, correlation, number of brokers
        except OSError:
            return False
        return len(answer) == 12 and struct.unpack(">iii", answer)[2] >= 1


@dataclass(frozen=True)
class PostgresProbe:
    """Ready when `dsn` can be connected to."""

    dsn: str

    def ready(self) -> bool:
        """One connection, closed at once."""
        try:
            psycopg.connect(self.dsn, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@dataclass(frozen=True)
class ValkeyProbe:
    """Ready when PING is answered by PONG, which it is not while the append-only file is loaded."""

    port: int

    def ready(self) -> bool:
        """One PING."""
        try:
            with socket.create_connection((LOOPBACK, self.port), PROBE_TIMEOUT_SECONDS) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"
        except OSError:
            return False

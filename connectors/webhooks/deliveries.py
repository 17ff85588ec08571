"""Verified webhook deliveries on the topic `webhooks`: written once all replicas have them, read by their streams.

The record keeps no credential: of the headers only those that say what was sent, and the address without its query.
"""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.contract import Delivery
from connectors.stream_state import partition_of
from vitals.avro import AvroSerde
from vitals.errors import FatalError, RetriableError
from vitals.kafka import producer_options
from vitals.settings import Settings

WEBHOOKS = "webhooks"
RECORD = "WebhookDelivery"

ACKNOWLEDGED_SECONDS = 8.0
"""How long a vendor waits for the brokers: less than the time after which any of them gives up, as far as known."""
QUEUED_KILOBYTES = 64 * 1024

_KEPT_HEADERS = frozenset(("content-type", "user-agent"))
_SECRET_WORDS = ("signature", "secret", "token", "auth", "key", "cookie", "password")


def kept_headers(source: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that a record keeps: what the body is, and the vendor's own as long as they are no credentials.

    >>> kept_headers("zendesk", {"x-zendesk-webhook-id": "7", "x-zendesk-webhook-signature": "x", "x-api": "y"})
    {'x-zendesk-webhook-id': '7'}
    """
    return {
        name: value
        for name, value in headers.items()
        if name in _KEPT_HEADERS
        or (name.startswith(f"x-{source}-") and not any(word in name for word in _SECRET_WORDS))
    }


def record(delivery: Delivery, delivery_id: str) -> dict[str, Any]:
    """Avro record (`WebhookDelivery`) of a verified delivery."""
    return {
        "source": delivery.source,
        "delivery_id": delivery_id,
        "method": delivery.method,
        "url": delivery.url.partition("?")[0],
        "headers": kept_headers(delivery.source, delivery.headers),
        "body": delivery.body,
        "received_at": delivery.received_at,
    }


def delivery_of(record: Mapping[str, Any]) -> Delivery:
    """The delivery that a record holds."""
    return Delivery(
        record["source"],
        record["method"],
        record["url"],
        record["headers"],
        record["body"],
        record["received_at"],
    )


class DeliveryWriter:
    """Writes deliveries and tells when the brokers have them. `run` must be running; `append` is for an event loop."""

    def __init__(self, settings: Settings, serde: AvroSerde) -> None:
        self._serde = serde
        self._producer = Producer(
            producer_options(settings)
            | {
                "linger.ms": 2,
                "message.timeout.ms": int(ACKNOWLEDGED_SECONDS * 1000),
                "queue.buffering.max.kbytes": QUEUED_KILOBYTES,
            }
        )

    async def append(self, delivery: Delivery, delivery_id: str) -> None:
        """Returns once all replicas have the delivery.

        Raises:
            RetriableError: they did not take it in time; it may still have been written.
        """
        settled: Future[None] = Future()

        def told(error: KafkaError | None, _message: object) -> None:
            if settled.set_running_or_notify_cancel():
                settled.set_exception(KafkaException(error)) if error else settled.set_result(None)

        try:
            # The first one looks its schema up, which waits for the registry.
            encoded = await asyncio.to_thread(self._serde.encode, WEBHOOKS, RECORD, record(delivery, delivery_id))
            self._producer.produce(
                WEBHOOKS,
                encoded,
                delivery.source.encode(),
                partition_of(delivery.source, WEBHOOKS),
                on_delivery=told,
            )
            await asyncio.wait_for(asyncio.wrap_future(settled), ACKNOWLEDGED_SECONDS)
        except (BufferError, TimeoutError, KafkaException, FatalError) as error:
            raise RetriableError(f"The delivery could not be kept: {error or 'no answer from Kafka'}.") from error

    def run(self, stopping: threading.Event) -> None:
        """Takes the brokers' answers until stopping (run it in a thread of its own)."""
        while not stopping.is_set():
            self._producer.poll(0.1)
        self._producer.flush(ACKNOWLEDGED_SECONDS)

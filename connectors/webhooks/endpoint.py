"""`POST /v1/webhooks/<source>`: verifies over the raw bytes, keeps, and only then answers with 2xx."""

from collections.abc import Mapping
from typing import Protocol

import structlog
from fastapi import Request
from fastapi.responses import Response
from prometheus_client import Counter

from connectors.collect.problems import REQUESTS, problem
from connectors.contract import Delivery, RefusedDeliveryError, Webhook
from vitals.clock import Clock
from vitals.errors import RetriableError

log = structlog.get_logger()

DELIVERIES = Counter("vitals_webhook_deliveries_total", "Deliveries of webhooks by answer.", ["source", "status"])

LARGEST_BODY_BYTES = 1024 * 1024
UNSETTLED_BYTES_MAX = 64 * LARGEST_BODY_BYTES
"""Bodies in hand at a time; beyond it vendors are asked to come again."""


class DeliveryLog(Protocol):
    """Where verified deliveries are kept."""

    async def append(self, delivery: Delivery, delivery_id: str) -> None:
        """Returns once the delivery is durable; raises `RetriableError` where that cannot be had now."""
        ...


class WebhookEndpoint:
    """The endpoint for the given webhooks. `public_url` is what a proxy's clients call in place of our own address."""

    def __init__(
        self, webhooks: Mapping[str, Webhook], deliveries: DeliveryLog, clock: Clock, public_url: str = ""
    ) -> None:
        self._webhooks, self._deliveries, self._clock = webhooks, deliveries, clock
        self._public_url = public_url.rstrip("/")
        self._unsettled_bytes = 0

    async def receive(self, request: Request) -> Response:
        """202 for a delivery that is kept. Otherwise 400, 401, 403, 404, 413, or 503 while Kafka is away."""
        source = request.path_params["source"]
        webhook = self._webhooks.get(source)
        if webhook is None:
            return _nobody()
        taken = 0
        content = bytearray()
        try:
            async for chunk in request.stream():
                if len(content) + len(chunk) > LARGEST_BODY_BYTES:
                    return self._refused(source, 413, f"The body is larger than {LARGEST_BODY_BYTES} bytes.")
                if self._unsettled_bytes + len(chunk) > UNSETTLED_BYTES_MAX:
                    return self._refused(source, 503, "Too many deliveries wait for Kafka.")
                content += chunk
                taken += len(chunk)
                self._unsettled_bytes += len(chunk)
            return await self._settled(webhook, source, request, bytes(content))
        finally:
            self._unsettled_bytes -= taken

    async def looked_at(self, request: Request) -> Response:
        """`HEAD`, by which a vendor may ask before it registers the address: 200 where deliveries are taken, else 404.

        Anybody may ask; nothing is kept and nothing told but what the status of any delivery tells.
        """
        return Response(status_code=200) if request.path_params["source"] in self._webhooks else _nobody()

    async def _settled(self, webhook: Webhook, source: str, request: Request, body: bytes) -> Response:
        delivery = Delivery(
            source, request.method, self._address(request), dict(request.headers), body, self._clock.now()
        )
        try:
            delivery_id = webhook.verify(delivery)
        except RefusedDeliveryError as error:
            return self._refused(source, error.status, str(error))
        try:
            await self._deliveries.append(delivery, delivery_id)
        except RetriableError as error:
            return self._refused(source, 503, str(error))
        DELIVERIES.labels(source, 202).inc()
        REQUESTS.labels(202).inc()
        return Response(status_code=202)

    def _address(self, request: Request) -> str:
        """What the vendor called: signatures may cover it, and a proxy changes what this process sees of it."""
        url = request.url
        if not self._public_url:
            return str(url)
        return f"{self._public_url}{url.path}" + (f"?{url.query}" if url.query else "")

    def _refused(self, source: str, status: int, reason: str) -> Response:
        """Neither the body nor a header is told to anybody."""
        log.warning("webhook_refused", source=source, status=status, reason=reason)
        DELIVERIES.labels(source, status).inc()
        return problem(status, reason, challenge="Signature" if status == 401 else None)


def _nobody() -> Response:
    return problem(404, "No connector of this name takes webhooks here: enable it, and set the secret of its webhook.")

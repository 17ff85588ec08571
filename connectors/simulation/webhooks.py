"""Sends the vendors' webhooks: what becomes visible as source time goes on is delivered, signed, and sent again."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count as numbers
from typing import Any

import httpx

from connectors.simulation.calendar import DAY
from connectors.simulation.faults import WEBHOOK_KINDS
from connectors.simulation.stage import Simulation
from connectors.simulation.vendor_webhooks import Notice
from connectors.simulation.vendors import senders
from vitals.errors import UserError

TURN_SECONDS = 0.1
ANSWER_SECONDS = 10.0
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
WAITING_MAX = 5_000
"""Deliveries of one subscription beyond which no more are made, when source time runs ahead of what can be sent."""

_FOREIGN_SECRET = "not-the-secret-of-this-webhook"  # noqa: S105 - what a forger would sign with
_SPOILED = ("webhook_tampered", "webhook_bad_signature", "webhook_stale")


@dataclass(slots=True)
class Delivery:
    """A notice on its way; `due` is on the wall clock, `first_sent_at` epoch seconds. `fault` spoils the next attempt
    only."""

    notice: Notice
    due: float
    attempt: int = 1
    fault: str | None = None
    first_sent_at: float | None = None


@dataclass(slots=True)
class Subscription:
    """One webhook: where its deliveries go, how far source time is told, and what became of them."""

    subscription_id: int
    vendor: str
    url: str
    secrets: tuple[str, ...]
    through: int
    told: set[str]
    waiting: list[Delivery] = field(default_factory=list)
    held: Delivery | None = None
    accepted: int = 0
    failed: int = 0
    given_up: int = 0

    def shown(self) -> dict[str, Any]:
        """As a JSON object, without the secrets."""
        waiting = len(self.waiting) + (self.held is not None)
        return {
            "subscription_id": self.subscription_id,
            "vendor": self.vendor,
            "url": self.url,
            "accepted": self.accepted,
            "failed": self.failed,
            "given_up": self.given_up,
            "waiting": waiting,
        }


class WebhookSender:
    """Every subscription of a simulation. They are forgotten at its end: a restart subscribes again."""

    def __init__(
        self,
        simulation: Simulation,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._simulation, self._transport, self._unix_time = simulation, transport, unix_time
        self._numbers = numbers(1)
        self.subscriptions: list[Subscription] = []

    def subscribe(self, vendor: str, url: str, secrets: Sequence[str] = ()) -> Subscription:
        """From now on, what changes is delivered to `url`; without secrets, signed with the demonstration's.

        Raises:
            UserError: the vendor sends none, or the address is none.
        """
        if vendor not in senders():
            raise UserError(f"vendor of webhooks is one of {', '.join(senders())}, not {vendor}.")
        if not url.startswith(("http://", "https://")):
            raise UserError(f"url is not an http address: {url}.")
        now = self._simulation.clock.now_seconds()
        known = {notice.notice_id for notice in senders()[vendor].notices(self._simulation, now, now)}
        signing = tuple(secrets) or senders()[vendor].secrets()
        made = Subscription(next(self._numbers), vendor, url, signing, now, known)
        self.subscriptions.append(made)
        return made

    def clear(self) -> None:
        """Ends every subscription."""
        self.subscriptions.clear()

    async def run(self) -> None:
        """Delivers until it is cancelled."""
        async with self._client() as client:
            while True:
                await self._turn(client)
                await asyncio.sleep(TURN_SECONDS)

    async def turn(self) -> None:
        """Collects what has changed, and makes the attempts that are due."""
        async with self._client() as client:
            await self._turn(client)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self._transport, timeout=ANSWER_SECONDS)

    async def _turn(self, client: httpx.AsyncClient) -> None:
        for subscription in self.subscriptions:
            self._collect(subscription)
        await asyncio.gather(*(self._send_due(subscription, client) for subscription in list(self.subscriptions)))

    def _collect(self, subscription: Subscription) -> None:
        """Queues what has changed, the seconds since the last time in spans of a day, until enough waits."""
        now, vendor = self._simulation.clock.now_seconds(), senders()[subscription.vendor]
        while len(subscription.waiting) < WAITING_MAX:
            # The last second is looked at again: an item can be put into the second that is.
            until = min(now, subscription.through + DAY)
            notices = vendor.notices(self._simulation, subscription.through, until)
            fresh = [notice for notice in notices if notice.notice_id not in subscription.told]
            subscription.told = {notice.notice_id for notice in notices if notice.at >= until}
            subscription.through = until
            for notice in fresh:
                self._enqueue(subscription, notice)
            if until >= now:
                return

    def _enqueue(self, subscription: Subscription, notice: Notice) -> None:
        fault = self._simulation.faults.take(subscription.vendor, "/", *WEBHOOK_KINDS)
        kind = None if fault is None else fault.kind
        if kind == "webhook_lost":
            return
        delivery = Delivery(notice, self._simulation.wall(), fault=kind if kind in _SPOILED else None)
        if kind == "webhook_reorder" and subscription.held is None:
            subscription.held = delivery
            return
        subscription.waiting.append(delivery)
        if kind == "webhook_duplicate":
            subscription.waiting.append(Delivery(notice, delivery.due))
        if subscription.held is not None:
            subscription.waiting.append(subscription.held)
            subscription.held = None

    async def _send_due(self, subscription: Subscription, client: httpx.AsyncClient) -> None:
        now = self._simulation.wall()
        due = [delivery for delivery in subscription.waiting if delivery.due <= now]
        for delivery in due:
            subscription.waiting.remove(delivery)
            status = await self._send(subscription, delivery, client)
            self._answered(subscription, delivery, status)

    async def _send(self, subscription: Subscription, delivery: Delivery, client: httpx.AsyncClient) -> int | None:
        vendor = senders()[subscription.vendor]
        signed_at, secrets = self._unix_time(), subscription.secrets
        if delivery.fault == "webhook_stale":
            signed_at -= vendor.stale_seconds
        first_sent_at = signed_at if delivery.first_sent_at is None else delivery.first_sent_at
        if delivery.fault is None:
            delivery.first_sent_at = first_sent_at
        body = vendor.body(delivery.notice, delivery.attempt, first_sent_at)
        if delivery.fault == "webhook_bad_signature":
            secrets = (_FOREIGN_SECRET,)
        headers = vendor.headers(body, subscription.url, secrets, signed_at)
        if delivery.fault == "webhook_tampered":
            body = _tampered(body)
        try:
            return (await client.post(subscription.url, content=body, headers=headers)).status_code
        except httpx.HTTPError:
            return None

    def _answered(self, subscription: Subscription, delivery: Delivery, status: int | None) -> None:
        if status is not None and 200 <= status < 300:
            subscription.accepted += 1
            return
        subscription.failed += 1
        vendor = senders()[subscription.vendor]
        if delivery.attempt >= vendor.attempts or not vendor.retried(status):
            subscription.given_up += 1
            return
        wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (delivery.attempt - 1))
        due = self._simulation.wall() + wait
        again = Delivery(delivery.notice, due, delivery.attempt + 1, first_sent_at=delivery.first_sent_at)
        subscription.waiting.append(again)


def _tampered(body: bytes) -> bytes:
    """The body with one digit changed, which leaves JSON whole; a space more where there is none."""
    for place, byte in enumerate(body):
        if chr(byte).isdigit():
            return body[:place] + (b"1" if byte != ord("1") else b"2") + body[place + 1 :]
    return body + b" "


def subscribe_all(sender: WebhookSender, vendors: Iterable[str], url: str) -> None:
    """Subscribes the endpoint of `vitals collect` at `url` to every one of the vendors that sends webhooks."""
    for vendor in vendors:
        if vendor in senders():
            sender.subscribe(vendor, f"{url.rstrip('/')}/v1/webhooks/{vendor}")

"""The billing stream: history from the lists, then the feed of events, each with its object read again.

A webhook brings an event of the feed early; from then on it counts as handled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from connectors.contract import Delivery, Json, LoadProgress, Mapped, Page, Probe, RawObject, State, Stream
from connectors.fields import iso, since
from connectors.identity.claims import CLAIMS
from connectors.stripe.client import API_VERSION, EventsSpan, ListRefusedError, StripeClient
from connectors.stripe.mapping import AS_TOLD, EVENT, FETCHED, RESOURCES, customer_identity, map_object
from connectors.stripe.webhook import event_of
from vitals.errors import BadRecordError

log = structlog.get_logger()

OVERLAP = timedelta(minutes=10)
LAG = timedelta(seconds=2)
"""How far the promise stays behind Stripe's time: an event may show a moment after its second."""
KEPT = timedelta(days=30)
"""How long Stripe keeps events. A feed left alone for longer has a hole that only the lists can fill."""

REQUESTS_A_PAGE = 10
EVENTS_A_PAGE = 200

LISTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "customers": ("customer", {}),
    "subscriptions": ("subscription", {"status": "all"}),  # without it the canceled ones are hidden
    "invoices": ("invoice", {}),
}
LIVE = "live"

_STAGES = (*LISTS, LIVE)


@dataclass(frozen=True, slots=True)
class Walk:
    """The stream's entry `walk`: where it stands, `after` which object a list goes on, `watermark` of the feed."""

    stage: str
    watermark: int
    after: str | None = None

    def json(self) -> dict[str, Any]:
        """As it is stored."""
        return {"stage": self.stage, "watermark": self.watermark, "after": self.after}


@dataclass(frozen=True, slots=True)
class _Backlog:
    """Events of a span that are still to be handed out; `expected` is the walk they go on from."""

    expected: Walk
    span: EventsSpan


class BillingStream(Stream):
    """`stripe.billing`.

    Entries: `walk`, `since` (what the feed has promised), `failed/<invoice>` (failures told from history),
    `terms/<subscription>` (the newest terms told), `handled/<event>` (events within the overlap, with their second).
    """

    source = "stripe"
    name = "stripe.billing"
    topics = ("events.billing",)
    overlap = OVERLAP

    def __init__(self, client: StripeClient) -> None:
        self._client = client
        self._backlog: _Backlog | None = None

    def fetch(self, state: State) -> Page:
        """The next objects of the history, or the next events of the feed."""
        entry = state.get("walk")
        # The time is taken before the first list, so that the feed begins with everything that the lists may miss.
        walk = Walk(_STAGES[0], int(self._client.now().timestamp())) if entry is None else Walk(**entry)
        return self._live(walk, state) if walk.stage == LIVE else self._history(walk, state)

    def received(self, deliveries: Sequence[Delivery], state: State) -> Page | None:
        """The events that the feed will list and has not listed yet, each with its object as it is now.

        An event rendered in another API version than ours is read again from the feed. A customer not met before is
        read ahead of the events that name it: deliveries come in any order. Where it is gone, its events are left to
        the feed, which brings its creation before them.
        """
        entry = state.get("walk")
        if entry is None or entry["stage"] != LIVE:
            return None  # The feed is read from before the lists on, and brings them.
        listed_from = Walk(**entry).watermark - int(OVERLAP.total_seconds())
        found = {event["id"]: event for event in map(event_of, deliveries) if event["type"] in RESOURCES}
        fresh = [event for event in found.values() if _unhandled(event, listed_from, state)]
        if not fresh:
            return None
        customers, gone = self._customers(fresh, state)
        known = [event for event in fresh if _customer(event["data"]["object"]) not in gone]
        events = sorted(map(self._in_our_version, known), key=_order)
        handled = {f"handled/{event['id']}": event["created"] for event in events}
        return Page([*customers, *self._with_objects(events)], handled, since(state), more=False)

    def probes(self) -> Sequence[Probe]:
        """The newest object of each list, and of the feed."""
        return tuple(
            Probe(resource, f"the restricted key read permission on {resource}", partial(self._client.probe, resource))
            for resource in (*LISTS, "events")
        )

    def progress(self, state: State) -> LoadProgress | None:
        """Lists read: Stripe does not tell how long one is."""
        entry = state.get("walk")
        stage = _STAGES[0] if entry is None else Walk(**entry).stage
        return LoadProgress(_STAGES.index(stage), len(LISTS), "lists")

    def map(self, raw: RawObject, state: State) -> Mapped:
        """See `connectors.stripe.mapping`."""
        return map_object(raw, state)

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    def _history(self, walk: Walk, state: State) -> Page:
        object_type, parameters = LISTS[walk.stage]
        objects: list[RawObject] = []
        for _ in range(REQUESTS_A_PAGE):
            try:
                page = self._client.page(walk.stage, walk.after, parameters)
            except ListRefusedError as error:
                log.warning("stripe_list_again", resource=walk.stage, reason=str(error))
                walk = replace(walk, after=None)
                break
            for item in page.items:
                whole = self._client.whole(item) if walk.stage == "invoices" else item
                objects.append(RawObject(object_type, str(item["id"]), whole))
            if not page.has_more or not page.items:
                walk = Walk(_STAGES[_STAGES.index(walk.stage) + 1], walk.watermark)
                break
            walk = replace(walk, after=str(page.items[-1]["id"]))
        return Page(objects, {"walk": walk.json()}, since(state), more=True)

    def _live(self, walk: Walk, state: State) -> Page:
        backlog = self._backlog
        span = self._list(walk, state) if backlog is None or backlog.expected != walk else backlog.span
        self._backlog = None
        if walk.watermark < int((span.at - KEPT).timestamp()):
            log.warning("stripe_backfill_again", watermark=datetime.fromtimestamp(walk.watermark, UTC).isoformat())
            return Page((), {"walk": None, **_forgotten(state, None)}, since(state), more=True)
        now, later = span.events[:EVENTS_A_PAGE], span.events[EVENTS_A_PAGE:]
        objects = self._with_objects(now)
        handled = {f"handled/{event['id']}": event["created"] for event in now}
        if later:
            # Events of the same second may follow, so the watermark stays at this one's.
            ahead = Walk(LIVE, max(walk.watermark, int(now[-1]["created"])))
            self._backlog = _Backlog(ahead, replace(span, events=later))
            return Page(objects, {**handled, "walk": ahead.json()}, since(state), more=True)
        reached = int(span.at.timestamp()) if span.until is None else span.until
        ahead = Walk(LIVE, max(walk.watermark, reached))
        listed_from = ahead.watermark - int(OVERLAP.total_seconds())
        kept = {entry: created for entry, created in handled.items() if created >= listed_from}
        updates: dict[str, Json] = {**_forgotten(state, listed_from), **kept, "walk": ahead.json()}
        if span.until is not None:
            return Page(objects, updates, since(state), more=True)
        through = max(span.at - LAG, since(state) or span.at - LAG)
        return Page(objects, {**updates, "since": iso(through)}, through, more=False)

    def _list(self, walk: Walk, state: State) -> EventsSpan:
        """The events from the overlap on that are not handled yet."""
        span = self._client.events(walk.watermark - int(OVERLAP.total_seconds()), tuple(RESOURCES))
        pending = [
            event for event in span.events if event["type"] in RESOURCES and f"handled/{event['id']}" not in state
        ]
        pending.sort(key=_order)
        return replace(span, events=pending)

    def _in_our_version(self, event: dict[str, Any]) -> dict[str, Any]:
        if event.get("api_version") == API_VERSION:
            return event
        return self._client.event(event["id"]) or event

    def _customers(self, events: Sequence[dict[str, Any]], state: State) -> tuple[list[RawObject], set[str]]:
        """The customers that these events name and that neither the state nor an event among them knows; of those, the
        ids of the ones that are gone."""
        told = {event["data"]["object"]["id"] for event in events if RESOURCES[event["type"]] == "customers"}
        named = {_customer(event["data"]["object"]): None for event in events}
        unknown = [one for one in named if one and one not in told and CLAIMS + customer_identity(one) not in state]
        found = {one: self._client.get("customers", one) for one in unknown}
        there = {name: body for name, body in found.items() if body is not None and not body.get("deleted")}
        return [RawObject("customer", name, body) for name, body in there.items()], set(found) - set(there)

    def _with_objects(self, events: list[dict[str, Any]]) -> list[RawObject]:
        """Each event with its object as it is now; an object of several events is read once."""
        current: dict[tuple[str, str], dict[str, Any] | None] = {}
        objects = []
        for event in events:
            if event["type"] in AS_TOLD:
                objects.append(RawObject(EVENT, str(event["id"]), {**event, FETCHED: None}))
                continue
            key = (RESOURCES[event["type"]], str(event["data"]["object"]["id"]))
            if key not in current:
                current[key] = self._client.get(*key)
            objects.append(RawObject(EVENT, str(event["id"]), {**event, FETCHED: current[key]}))
        return objects


def _order(event: Mapping[str, Any]) -> tuple[int, bool, str]:
    """Oldest first, customers first within a second, then by id."""
    return (event["created"], RESOURCES[event["type"]] != "customers", event["id"])


def _unhandled(event: Mapping[str, Any], listed_from: int, state: State) -> bool:
    """Whether an event that was delivered is still to be listed by the feed.

    Raises:
        BadRecordError: it has not what every event has.
    """
    changed = event.get("data")
    body = changed.get("object") if isinstance(changed, Mapping) else None
    created = event.get("created")
    if not isinstance(body, Mapping) or not body.get("id") or type(created) is not int:
        raise BadRecordError(f"The event {event['id']} has no time of creation, or no object.")
    return created >= listed_from and f"handled/{event['id']}" not in state


def _customer(body: Mapping[str, Any]) -> str | None:
    """The customer that an object names, be it by id or expanded."""
    named = body.get("customer")
    found = named.get("id") if isinstance(named, Mapping) else named
    return found if isinstance(found, str) else None


def _forgotten(state: State, listed_from: int | None) -> dict[str, Json]:
    """Removes handled events that no list will bring again; all of them where `listed_from` is None."""
    return {
        entry: None
        for entry, created in state.items()
        if entry.startswith("handled/") and (listed_from is None or created < listed_from)
    }

"""One object's stream: all objects first, then what a search says has changed, and now and then the archived ones.

Every walk goes by id and has no upper bound in time. An object keeps its id and only ever gets a later modification,
so a walk meets each one that had changed when it began, whatever changes meanwhile, and no search needs its offset,
which HubSpot ends at 10,000.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from connectors.contract import Delivery, LoadProgress, Mapped, Page, Probe, RawObject, State, Stream
from connectors.fields import iso, iso_instant, since
from connectors.hubspot.accounts import COMPANIES, COMPANY, SALESFORCE_ID
from connectors.hubspot.client import CursorRefusedError, HubSpotClient
from connectors.hubspot.deliveries import objects_named
from connectors.hubspot.mapping import OVERLAP, Meaning, archived_since, version_of
from connectors.promises import is_new
from vitals.errors import BadRecordError

log = structlog.get_logger()

_SCOPES = {
    COMPANIES: "crm.objects.companies.read",
    "deals": "crm.objects.deals.read",
    "tickets": "tickets",
    "owners": "crm.objects.owners.read",
}

LAG = timedelta(seconds=60)
"""How far behind HubSpot's time a walk promises: what is younger may not be in the search index yet."""


@dataclass(frozen=True, slots=True)
class WalkedObject:
    """What differs between the objects. `modified` is the searchable property of the last modification."""

    object_type: str
    singular: str
    type_id: str
    topics: tuple[str, ...]
    properties: Sequence[str]
    map: Callable[[RawObject, State], Mapped]
    modified: str = "hs_lastmodifieddate"


class ObjectStream(Stream):
    """`hubspot.companies`, `hubspot.deals` or `hubspot.tickets`.

    Entries: `scan` (a list under way, see `place_after`), `walk` (a search under way), `since` (what is promised),
    `archived_since` (when archived objects were last read), `company/<id>`, `merged/<id>`, `closed/<id>` (see the
    mapping).
    """

    source = "hubspot"

    def __init__(
        self, client: HubSpotClient, walked: WalkedObject, meaning: Meaning, archived_every: timedelta
    ) -> None:
        self.name = f"hubspot.{walked.object_type}"
        self.topics = walked.topics
        self.identity_source = meaning.identity_source and walked.object_type == COMPANIES
        # A scan of archived objects tells again what was told since the last one; ids are kept by day.
        self.overlap = OVERLAP + archived_every + timedelta(days=1)
        self._client = client
        self._walked = walked
        self._meaning = meaning
        self._archived_every = archived_every
        self._owners: dict[str, str] = {}
        self._counted: int | None = None

    def fetch(self, state: State) -> Page:
        """The next objects of the scan or search under way, or the first of a new search."""
        if "scan" in state or since(state) is None:
            return self._scan(state.get("scan") or {"archived": False}, state)
        return self._search(state)

    def received(self, deliveries: Sequence[Delivery], state: State) -> Page | None:
        """The objects that webhook events name, as they are now; during the first load nothing, which reads them."""
        if since(state) is None:
            return None
        ids = objects_named(deliveries, self._walked.singular, self._walked.type_id)
        if not ids:
            return None
        properties = self._walked.properties
        records = self._client.read(self._walked.object_type, ids, properties)
        known = {str(one["id"]) for one in records}
        gone = [one for one in ids if one not in known]
        if gone:
            # Archived, or merged: then its winner is here already.
            records += self._client.read(self._walked.object_type, gone, properties, archived=True)
        untold = [one for one in records if not _long_told(one, state)]
        return Page(self._objects(untold), {}, since(state), more=False)

    def probes(self) -> Sequence[Probe]:
        """One object of the list; for companies that define accounts, an owner too."""
        object_type = self._walked.object_type
        wanted = [object_type, *(["owners"] if self.identity_source else [])]
        return tuple(
            Probe(one, f"the scope `{_SCOPES[one]}` to the app or its token", partial(self._client.probe, one))
            for one in wanted
        )

    def progress(self, state: State) -> LoadProgress | None:
        """Objects read of those that a search counts; the whole is counted once a process."""
        scan = state.get("scan")
        if scan is None:
            return None
        if self._counted is None:
            self._counted = self._client.count(self._walked.object_type) or 0
        done = int(scan.get("read", 0))
        return LoadProgress(done, max(done, self._counted), "records")

    def map(self, raw: RawObject, state: State) -> Mapped:
        """See `connectors.hubspot.mapping`."""
        return self._walked.map(raw, state)

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    def _scan(self, scan: dict[str, Any], state: State) -> Page:
        complete, archived = since(state), scan["archived"]
        try:
            page = self._client.page(
                self._walked.object_type, self._walked.properties, after=scan.get("after"), archived=archived
            )
        except CursorRefusedError as error:
            log.warning("hubspot_cursor_refused", stream=self.name, reason=str(error))
            return Page((), {"scan": scan_again(scan)}, complete, more=True)
        began = scan.get("began") or iso(page.at)
        place = place_after(scan, page.records)
        told = scan.get("told", 0)
        records = [one for one in page.records if (number := _number(one)) is None or number > told]
        if archived:
            records = [one for one in records if _untold(one, state)]
        objects, read = self._objects(records), scan.get("read", 0) + len(page.records)
        if page.after is not None:
            following = {"archived": archived, "began": began, "read": read, "after": page.after}
            return Page(objects, {"scan": following | place}, complete, more=True)
        if not archived:
            # Behind the last object come the archived ones.
            return Page(objects, {"scan": {"archived": True, "began": began, "read": read}}, complete, more=True)
        ended: dict[str, Any] = {"scan": None, "archived_since": began}
        if complete is None:
            complete = iso_instant(began, "began") - LAG
            ended["since"] = iso(complete)
        return Page(objects, ended, complete, more=False)

    def _search(self, state: State) -> Page:
        complete = since(state)
        assert complete is not None
        walk = state.get("walk") or {"from": iso(complete - OVERLAP), "id": 0}
        page = self._client.search(
            self._walked.object_type,
            self._walked.modified,
            self._walked.properties,
            since=iso_instant(walk["from"], "from"),
            after_id=walk["id"],
        )
        began = walk.get("began") or iso(page.at)
        objects = self._objects(page.records)
        if page.after is not None and page.records:
            walk = {**walk, "began": began, "id": max(int(one["id"]) for one in page.records)}
            return Page(objects, {"walk": walk}, complete, more=True)
        through = max(complete, iso_instant(began, "began") - LAG)
        ended: dict[str, Any] = {"walk": None, "since": iso(through)}
        due = iso_instant(state["archived_since"], "archived_since") + self._archived_every <= page.at
        if due:
            ended["scan"] = {"archived": True}
        return Page(objects, ended, through, more=due)

    def _objects(self, records: Iterable[dict[str, Any]]) -> list[RawObject]:
        """Raw objects of a page: companies with their owner's name, deals and tickets with their companies."""
        records = list(records)
        if self._walked.object_type == COMPANIES:
            named = [self._with_owner(one) for one in records] if self._meaning.identity_source else records
            return [RawObject(COMPANY, str(one["id"]), one) for one in named]
        associated = self._client.companies_of(self._walked.object_type, [str(one["id"]) for one in records])
        for one in records:
            one["associations"] = {COMPANIES: {"results": associated.get(str(one["id"]), [])}}
        return [RawObject(self._walked.singular, str(one["id"]), one) for one in records]

    def _with_owner(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record with its owner's name, which HubSpot keeps elsewhere."""
        owner = (record.get("properties") or {}).get("hubspot_owner_id")
        if owner and owner not in self._owners:
            # An id that HubSpot does not tell is not asked for again and again.
            self._owners = {owner: "", **self._owners, **self._client.owners()}
        return {**record, "owner": self._owners.get(owner) if owner else None}


def place_after(scan: dict[str, Any], records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a scan notes behind a page: `told`, up to which id it need not tell again, and `highest`, the highest id so
    far while no page went back behind the one before (HubSpot does not promise that), else null.
    """
    highest, numbers = scan.get("highest", 0), [_number(one) for one in records]
    if highest is None or any(number is None or number < highest for number in numbers):
        return {"highest": None, "told": scan.get("told", 0)}
    return {"highest": max([highest, *filter(None, numbers)]), "told": scan.get("told", 0)}


def scan_again(scan: dict[str, Any]) -> dict[str, Any]:
    """A scan whose place the vendor has forgotten begins again, and passes over what it has told. What has changed
    there since it began, the search that follows finds.
    """
    told = max(scan.get("told", 0), scan.get("highest") or 0)
    return {name: scan[name] for name in ("archived", "began") if name in scan} | {"told": told, "highest": 0}


def _number(record: dict[str, Any]) -> int | None:
    """The object's id as a number; None where it is none, which the mapping will tell."""
    text = str(record.get("id"))
    return int(text) if text.isascii() and text.isdigit() else None


def link_properties(crm_id_property: str) -> tuple[str, ...]:
    """The properties of a company that say which account it is."""
    return (crm_id_property, SALESFORCE_ID, "domain")


def _long_told(record: dict[str, Any], state: State) -> bool:
    """Whether searches have told this version, so long ago that the ids of its events may be forgotten."""
    complete = since(state)
    try:
        return complete is not None and not record.get("archived") and version_of(record) < complete - OVERLAP
    except BadRecordError:
        return False


def _untold(record: dict[str, Any], state: State) -> bool:
    """Whether an archived object may be news; one that cannot be read is, so that it becomes a bad record."""
    try:
        archived_at: datetime = version_of(record)
    except BadRecordError:
        return True
    return is_new(archived_at, archived_at, archived_since(state), OVERLAP)

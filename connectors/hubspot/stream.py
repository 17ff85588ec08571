"""One object's stream: all objects first, then what a search says has changed, and now and then the archived ones.

Every walk goes by id and has no upper bound in time. An object keeps its id and only ever gets a later modification,
so a walk meets each one that had changed when it began, whatever changes meanwhile, and no search needs its offset,
which HubSpot ends at 10,000.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from connectors.contract import Delivery, Mapped, Page, RawObject, State, Stream
from connectors.fields import iso, iso_instant, since
from connectors.hubspot.accounts import (
    COMPANIES,
    COMPANY,
    SALESFORCE_ID,
    company_claims,
    company_entry,
    primary_company,
)
from connectors.hubspot.client import CursorRefusedError, HubSpotClient
from connectors.hubspot.deliveries import objects_named
from connectors.hubspot.mapping import OVERLAP, Meaning, archived_since, version_of
from connectors.promises import is_new
from vitals.errors import BadRecordError

log = structlog.get_logger()

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

    Entries: `scan` (a list under way), `walk` (a search under way), `since` (what is promised), `archived_since` (when
    archived objects were last read), `company/<id>` (claims), `merged/<id>`, `closed/<id>` (see the mapping).
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

    def fetch(self, state: State) -> Page:
        """The next objects of the scan or search under way, or the first of a new search."""
        if "scan" in state or since(state) is None:
            return self._scan(state.get("scan") or {"archived": False}, state)
        return self._search(state)

    def received(self, deliveries: Sequence[Delivery], state: State) -> Page | None:
        """The objects that webhook events name, as they are now."""
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
        return Page(self._objects(records, state, look_again=True), {}, since(state), more=False)

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
            return Page((), {"scan": {**scan, "after": None}}, complete, more=True)
        began = scan.get("began") or iso(page.at)
        records = [one for one in page.records if _untold(one, state)] if archived else page.records
        objects = self._objects(records, state, look_again=False)
        if page.after is not None:
            return Page(objects, {"scan": {"archived": archived, "began": began, "after": page.after}}, complete, True)
        if not archived:
            return Page(objects, {"scan": {"archived": True, "began": began}}, complete, more=True)
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
        objects = self._objects(page.records, state, look_again=True)
        if page.after is not None and page.records:
            walk = {**walk, "began": began, "id": max(int(one["id"]) for one in page.records)}
            return Page(objects, {"walk": walk}, complete, more=True)
        through = max(complete, iso_instant(began, "began") - LAG)
        ended: dict[str, Any] = {"walk": None, "since": iso(through)}
        due = iso_instant(state["archived_since"], "archived_since") + self._archived_every <= page.at
        if due:
            ended["scan"] = {"archived": True}
        return Page(objects, ended, through, more=due)

    def _objects(self, records: Iterable[dict[str, Any]], state: State, *, look_again: bool) -> list[RawObject]:
        """Raw objects of a page; before deals and tickets come the companies whose claims the state does not hold.

        With `look_again`, companies are read although the state knows them: they may say something else by now.
        """
        records = list(records)
        if self._walked.object_type == COMPANIES:
            named = [self._with_owner(one) for one in records] if self._meaning.identity_source else records
            return [RawObject(COMPANY, str(one["id"]), one) for one in named]
        associated = self._client.companies_of(self._walked.object_type, [str(one["id"]) for one in records])
        for one in records:
            one["associations"] = {COMPANIES: {"results": associated.get(str(one["id"]), [])}}
        links = [] if self._meaning.identity_source else self._companies(records, state, look_again)
        return links + [RawObject(self._walked.singular, str(one["id"]), one) for one in records]

    def _companies(self, records: Iterable[dict[str, Any]], state: State, look_again: bool) -> list[RawObject]:
        wanted = {company for one in records if (company := primary_company(one)) is not None}
        unknown = sorted(one for one in wanted if look_again or company_entry(one) not in state)
        properties = link_properties(self._meaning.crm_id_property)
        companies = self._client.read(COMPANIES, unknown, properties)
        known = {str(one["id"]) for one in companies}
        archived = [one for one in unknown if one not in known]
        if archived:
            companies += self._client.read(COMPANIES, archived, properties, archived=True)
        return [
            RawObject(COMPANY, str(one["id"]), one)
            for one in companies
            if state.get(company_entry(one["id"])) != company_claims(one, self._meaning.crm_id_property)
        ]

    def _with_owner(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record with its owner's name, which HubSpot keeps elsewhere."""
        owner = (record.get("properties") or {}).get("hubspot_owner_id")
        if owner and owner not in self._owners:
            # An id that HubSpot does not tell is not asked for again and again.
            self._owners = {owner: "", **self._owners, **self._client.owners()}
        return {**record, "owner": self._owners.get(owner) if owner else None}


def link_properties(crm_id_property: str) -> tuple[str, ...]:
    """The properties of a company that say which account it is."""
    return (crm_id_property, SALESFORCE_ID, "domain")


def _untold(record: dict[str, Any], state: State) -> bool:
    """Whether an archived object may be news; one that cannot be read is, so that it becomes a bad record."""
    try:
        archived_at: datetime = version_of(record)
    except BadRecordError:
        return True
    return is_new(archived_at, archived_at, archived_since(state), OVERLAP)

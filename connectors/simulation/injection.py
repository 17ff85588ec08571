"""Items put into a world while it runs: each gives a new world, and all of them survive a restart."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from connectors.simulation import injected_billing
from connectors.simulation.billing_records import customer_id
from connectors.simulation.identifiers import insert_id
from connectors.simulation.support_records import organization_id
from connectors.simulation.world import NEVER, PRIORITIES, Account, AccountChange, Ints, World
from vitals.errors import UserError

# Above every id that a world's own tickets can have.
_FIRST_TICKET_ID = 90_000_001


@dataclass(frozen=True, slots=True)
class Injection:
    """One item. `account` is an external id, a CRM id or a name; a field that a kind does not use is ignored."""

    kind: str
    account: str = ""
    at: int = 0
    number: int = 0
    seats: int | None = None
    invoice: str | None = None
    ticket: int | None = None
    priority: str = "normal"
    user: str | None = None
    feature: str | None = None
    lines_changed: int = 10
    files: int = 1
    plan: str | None = None
    owner: str | None = None
    deleted: bool | None = None
    merged_into: str | None = None


Ids = dict[str, Any]


def inject(world: World, item: Injection) -> tuple[World, Ids]:
    """The world with the item in it, and the ids that the vendors give it; raises `UserError` for what cannot be."""
    if item.kind not in KINDS:
        raise UserError(f"kind is one of {', '.join(KINDS)}, not {item.kind}.")
    return KINDS[item.kind](world, item)


def find_account(world: World, named: str) -> Account:
    """The account with this external id, CRM id or name."""
    for account in world.accounts:
        if named in (account.external_id, account.crm_id, account.name):
            return account
    raise UserError(f"no account has the external id, CRM id or name {named!r}.")


def _invoice_paid(world: World, item: Injection) -> tuple[World, Ids]:
    if item.invoice is not None:
        changed, invoice = injected_billing.pay(world, item.invoice, item.at)
    else:
        account = find_account(world, item.account)
        changed, invoice = injected_billing.bill_now(world, account, item.at, item.number, item.seats, paid=True)
    return changed, _billing_ids(changed, invoice.account, invoice.subscription_id, invoice.invoice_id)


def _payment_failed(world: World, item: Injection) -> tuple[World, Ids]:
    account = find_account(world, item.account)
    changed, invoice = injected_billing.bill_now(world, account, item.at, item.number, item.seats, paid=False)
    return changed, _billing_ids(changed, invoice.account, invoice.subscription_id, invoice.invoice_id)


def _seat_change(world: World, item: Injection) -> tuple[World, Ids]:
    account = find_account(world, item.account)
    if item.seats is None or item.seats < 0:
        raise UserError("a seat_change names seats, 0 to cancel.")
    changed, subscription = injected_billing.set_seats(world, account, item.at, item.number, item.seats)
    return changed, _billing_ids(changed, account.index, subscription.subscription_id, None)


def _billing_ids(world: World, account: int, subscription_id: str, invoice_id: str | None) -> Ids:
    ids = {"customer": customer_id(world.accounts[account]), "subscription": subscription_id}
    return ids if invoice_id is None else {**ids, "invoice": invoice_id}


def _ticket_opened(world: World, item: Injection) -> tuple[World, Ids]:
    account, tickets = find_account(world, item.account), world.tickets
    if item.priority not in PRIORITIES:
        raise UserError(f"priority is one of {', '.join(PRIORITIES)}, not {item.priority}.")
    requesters, requester = _coded(tickets.requesters, item.user or f"requester of {account.external_id}")
    ticket_id = _FIRST_TICKET_ID + item.number
    changed = replace(
        tickets,
        ticket_id=_appended(tickets.ticket_id, ticket_id),
        account=_appended(tickets.account, account.index),
        opened_at=_appended(tickets.opened_at, item.at),
        solved_at=_appended(tickets.solved_at, NEVER),
        requester=_appended(tickets.requester, requester),
        priority=_appended(tickets.priority, PRIORITIES.index(item.priority)),
        requesters=requesters,
    )
    return replace(world, tickets=changed), {"ticket": ticket_id, "organization": organization_id(account.index)}


def _ticket_solved(world: World, item: Injection) -> tuple[World, Ids]:
    tickets = world.tickets
    places = np.flatnonzero(tickets.ticket_id == (item.ticket or 0))
    if not len(places) or tickets.opened_at[places[0]] > item.at or tickets.solved_at[places[0]] <= item.at:
        raise UserError(f"there is no open ticket {item.ticket}.")
    solved_at = tickets.solved_at.copy()
    # A ticket is solved after it is opened, also where both come within one second.
    solved_at[places[0]] = max(item.at, int(tickets.opened_at[places[0]]) + 1)
    changed = replace(world, tickets=replace(tickets, solved_at=solved_at))
    return changed, {"ticket": item.ticket, "organization": organization_id(int(tickets.account[places[0]]))}


def _ticket_deleted(world: World, item: Injection) -> tuple[World, Ids]:
    tickets = world.tickets
    places = np.flatnonzero(tickets.ticket_id == (item.ticket or 0))
    if not len(places) or tickets.opened_at[places[0]] > item.at or item.ticket in world.deleted_tickets:
        raise UserError(f"there is no ticket {item.ticket} to delete.")
    ticket_id, account = int(tickets.ticket_id[places[0]]), int(tickets.account[places[0]])
    # After its last change, also where both come within one second.
    changed_at = [int(at[places[0]]) for at in (tickets.opened_at, tickets.solved_at) if at[places[0]] <= item.at]
    changed = replace(world, deleted_tickets={**world.deleted_tickets, ticket_id: max(item.at, *changed_at) + 1})
    return changed, {"ticket": ticket_id, "organization": organization_id(account)}


def _feature_used(world: World, item: Injection) -> tuple[World, Ids]:
    events, row = world.events, -1 - item.number
    try:
        company_ids, company = events.company_ids, find_account(world, item.account).index
    except UserError:
        # A company that the CRM does not know is what a quarantine is for.
        company_ids, company = _coded(events.company_ids, item.account)
    users, user = _coded(events.users, item.user or f"user of {item.account}")
    features, feature = _coded(events.features, item.feature or events.features[0])
    place = int(np.searchsorted(events.event_time, item.at, side="right"))
    added = {
        "row": row,
        "event_time": item.at,
        "company": company,
        "user": user,
        "feature": feature,
        "lines_changed": item.lines_changed,
        "files": item.files,
    }
    columns = {name: np.insert(getattr(events, name), place, value) for name, value in added.items()}
    changed = replace(events, **columns, company_ids=company_ids, users=users, features=features)
    ids = {"insert_id": insert_id(f"{world.name}:{row}"), "company_id": company_ids[company]}
    return replace(world, events=changed), ids


def _account_changed(world: World, item: Injection) -> tuple[World, Ids]:
    account = find_account(world, item.account)
    owner = next((one for one in world.owners if item.owner in (one.name, one.user_id)), None)
    if item.owner is not None and owner is None:
        raise UserError(f"no owner is called {item.owner}.")
    change = AccountChange(item.at, owner=owner, plan=item.plan, deleted=item.deleted)
    if item.merged_into is not None:
        survivor = find_account(world, item.merged_into)
        if survivor.index == account.index:
            raise UserError("an account is not merged into itself.")
        change = replace(change, deleted=True, merged_into=survivor.crm_id)
    changes = tuple(sorted((*account.changes, change), key=lambda one: one.at))
    accounts = list(world.accounts)
    accounts[account.index] = replace(account, changes=changes)
    return replace(world, accounts=tuple(accounts)), {"account": account.crm_id}


def _coded(texts: tuple[str, ...], text: str) -> tuple[tuple[str, ...], int]:
    return (texts, texts.index(text)) if text in texts else ((*texts, text), len(texts))


def _appended(column: Ints, value: int) -> Ints:
    return np.append(column, np.int64(value))


KINDS: Mapping[str, Callable[[World, Injection], tuple[World, Ids]]] = {
    "invoice_paid": _invoice_paid,
    "payment_failed": _payment_failed,
    "seat_change": _seat_change,
    "ticket_opened": _ticket_opened,
    "ticket_solved": _ticket_solved,
    "ticket_deleted": _ticket_deleted,
    "feature_used": _feature_used,
    "account_changed": _account_changed,
}


class InjectionLog:
    """The items injected so far, one JSON line each, the oldest first; without a path they live in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.items: list[Injection] = []
        if path is not None and path.exists():
            for number, line in enumerate(path.read_bytes().splitlines(), start=1):
                try:
                    self.items.append(Injection(**orjson.loads(line)))
                except (TypeError, ValueError) as error:
                    raise UserError(f"{path} line {number} is not an injected item; delete the file.") from error

    def append(self, item: Injection) -> None:
        """Keep an item."""
        self.items.append(item)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as lines:
                lines.write(orjson.dumps(asdict(item), option=orjson.OPT_APPEND_NEWLINE))


def asked_for(request: Mapping[str, Any]) -> Injection:
    """The item that a JSON object describes; raises `UserError` for a field of the wrong name or type."""
    known = {one.name: one for one in fields(Injection) if one.name not in ("at", "number")}
    for name, value in request.items():
        if name not in known:
            raise UserError(f"{name} is not one of {', '.join(known)}.")
        kinds = {"seats": int, "ticket": int, "lines_changed": int, "files": int, "deleted": bool}
        if not isinstance(value, kinds.get(name, str)):
            raise UserError(f"{name} must be of type {kinds.get(name, str).__name__}.")
    if "kind" not in request:
        raise UserError(f"kind is one of {', '.join(KINDS)}.")
    return Injection(**request)

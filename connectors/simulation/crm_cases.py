"""A world's tickets as Salesforce cases, for companies that do their support in the CRM."""

from functools import lru_cache
from typing import Any

from connectors.simulation.identifiers import salesforce_id
from connectors.simulation.soql import Fields, Row, datetime_text
from connectors.simulation.world import NEVER, PRIORITIES, Account, Tickets, World

CASE_FIELDS: Fields = {
    "Id": "id",
    "IsDeleted": "boolean",
    "CaseNumber": "string",
    "AccountId": "reference",
    "ContactId": "reference",
    "Status": "picklist",
    "Priority": "picklist",
    "Origin": "picklist",
    "Reason": "picklist",
    "Type": "picklist",
    "Subject": "string",
    "IsClosed": "boolean",
    "IsEscalated": "boolean",
    "ClosedDate": "datetime",
    "OwnerId": "reference",
}

_PRIORITIES = {"low": "Low", "normal": "Medium", "high": "High", "urgent": "High"}


def case_rows(world: World, now: int) -> list[Row]:
    """Every case that is there at `now`, as it then is."""
    return [
        closed if closed_at <= now else opened
        for opened_at, closed_at, opened, closed in _cases(_Identical(world.tickets, world.accounts))
        if opened_at <= now
    ]


class _Identical:
    """A key of the cache: the same columns and accounts, not equal ones."""

    def __init__(self, tickets: Tickets, accounts: tuple[Account, ...]) -> None:
        self.tickets, self.accounts = tickets, accounts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identical) and self.tickets is other.tickets and self.accounts is other.accounts

    def __hash__(self) -> int:
        return id(self.tickets)


@lru_cache(maxsize=2)
def _cases(of: _Identical) -> list[tuple[int, int, dict[str, Any], dict[str, Any]]]:
    """(opened at, closed at, record while open, record when closed) of every ticket."""
    tickets = of.tickets
    columns = (tickets.ticket_id, tickets.account, tickets.opened_at, tickets.solved_at)
    people, priorities = tickets.requester.tolist(), tickets.priority.tolist()
    found = []
    for place, (ticket_id, index, opened_at, solved_at) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        account, priority = of.accounts[index], PRIORITIES[priorities[place]]
        opened = {
            "Id": salesforce_id("500", f"case:{ticket_id}"),
            "IsDeleted": False,
            "CaseNumber": f"{ticket_id:08d}",
            "AccountId": account.crm_id,
            "ContactId": salesforce_id("003", f"contact:{tickets.requesters[people[place]]}"),
            "Status": "New",
            "Priority": _PRIORITIES[priority],
            "Origin": "Web",
            "Reason": None,
            "Type": "Problem" if priority in ("high", "urgent") else "Question",
            "Subject": 'Login fails, "again"\nsecond line' if ticket_id % 7 == 0 else "Login fails",
            "IsClosed": False,
            "IsEscalated": priority == "urgent",
            "ClosedDate": None,
            "OwnerId": account.owner.user_id,
            "CreatedDate": datetime_text(opened_at),
            "LastModifiedDate": datetime_text(opened_at),
            "SystemModstamp": datetime_text(opened_at),
        }
        # A ticket that is solved no later than it is opened is closed from its opening on.
        closed_at = NEVER if solved_at == NEVER else max(opened_at, solved_at)
        closed = opened
        if closed_at < NEVER:
            written = datetime_text(closed_at)
            closed = {
                **opened,
                "Status": "Closed",
                "IsClosed": True,
                "ClosedDate": datetime_text(solved_at),
                "LastModifiedDate": written,
                "SystemModstamp": written,
            }
        found.append((opened_at, closed_at, opened, closed))
    return found

"""Seats counted from use: the distinct users of an account in a calendar month."""

from dataclasses import replace

import numpy as np

from connectors.simulation.world import Account, Ints, Seats


def count_seats(event_time: Ints, account: Ints, user: Ints, accounts: int, months: Ints) -> Seats:
    """Seats by account and month from columns of equal length; `months` are the first instants of the months."""
    month = np.searchsorted(months, event_time, side="right") - 1
    triples = np.unique(np.stack([account, month, user]), axis=1)
    users = np.zeros((accounts, len(months)), dtype=np.int64)
    np.add.at(users, (triples[0], triples[1]), 1)
    return Seats(months, users)


def with_contract(account: Account, seats: Seats) -> Account:
    """The account with the seats of its first month of use, which is what its first contract is over."""
    monthly = seats.users[account.index]
    return replace(account, contract_seats=int(monthly[np.flatnonzero(monthly)[0]]))

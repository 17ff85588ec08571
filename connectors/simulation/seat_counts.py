"""Seats counted from use: the distinct users of an account in a calendar month."""

from dataclasses import replace

import numpy as np

from connectors.simulation.world import Account, Ints, Seats


def count_seats(event_time: Ints, account: Ints, user: Ints, accounts: int, months: Ints) -> Seats:
    """Seats by account and month from columns of equal length; `months` are the first instants of the months."""
    month = np.searchsorted(months, event_time, side="right") - 1
    people = int(user.max(initial=0)) + 1
    # One number for each (account, month, user): sorting one column is many times faster than sorting triples.
    cells = np.unique((account * len(months) + month) * people + user) // people
    users = np.bincount(cells, minlength=accounts * len(months)).reshape(accounts, len(months))
    return Seats(months, users.astype(np.int64))


def with_contract(account: Account, seats: Seats) -> Account:
    """The account with the seats of its first month of use, which is what its first contract is over."""
    monthly = seats.users[account.index]
    return replace(account, contract_seats=int(monthly[np.flatnonzero(monthly)[0]]))

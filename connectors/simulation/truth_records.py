"""The truth of a generated world as JSON, for whoever measures detection. No vendor shows any of it."""

from typing import Any

import numpy as np

from connectors.simulation.calendar import DAY, iso, iso_day
from connectors.simulation.world import Account, Contract, Episode, TrueHealth, World
from vitals.errors import UserError


def truth(world: World, now: int, named: str | None = None, *, daily: bool = False) -> dict[str, Any]:
    """Every account's truth, or that of the one with this external id, CRM id or name.

    It tells all that is made, what lies after `now` included: whoever measures at a source time leaves out what begins
    later. With `daily` each account has its latent health by day, from `health_from` on.

    Raises:
        UserError: the world is one of real data, or has no such account.
    """
    if not world.truth:
        raise UserError(f"the world {world.name} knows no truth: only a generated one does (vitals simulate --world).")
    chosen = [
        account for account in world.accounts if named in (None, account.external_id, account.crm_id, account.name)
    ]
    if not chosen:
        raise UserError(f"no account has the external id, CRM id or name {named!r}.")
    return {
        "world": world.name,
        "source_time": iso(now),
        "history_end": iso(world.history_end),
        "known_until": iso(world.known_until),
        "outages": [{"start": iso(one.start), "end": iso(one.end)} for one in world.outages],
        "accounts": [_account(world, account, world.truth[account.index], daily=daily) for account in chosen],
    }


def _account(world: World, account: Account, known: TrueHealth, *, daily: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "crm_id": account.crm_id,
        "external_id": account.external_id,
        "name": account.name,
        "segment": account.segment,
        "traits": list(known.traits),
        "created_at": iso(account.created_at),
        "first_activity_at": iso(account.first_activity_at),
        "episodes": [_episode(one) for one in known.episodes],
        "decline_start": _instant(known.decline_start),
        "notice_at": _instant(known.notice_at),
        "churned_at": _instant(known.churned_at),
        "expanded_at": [iso(at) for at in known.expanded_at],
        "contracted_at": [iso(at) for at in known.contracted_at],
        "contract": _contract(known.contract),
    }
    if daily:
        days = known.health
        found["health_from"] = iso_day(world.history_start + DAY)
        found["health"] = [None if np.isnan(value) else round(float(value), 4) for value in days]
    return found


def _episode(one: Episode) -> dict[str, Any]:
    return {
        "start": iso(one.start),
        "end": _instant(one.end),
        "cause": one.cause,
        "depth": one.depth,
        "outcome": one.outcome,
    }


def _contract(one: Contract | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "start": iso_day(one.start),
        "end": iso_day(one.end),
        "term_months": one.term_months,
        "notice_days": one.notice_days,
        "auto_renew": one.auto_renew,
        "seats": one.seats,
        "plan": one.plan,
        "arr": one.arr_cents / 100,
    }


def _instant(at: int | None) -> str | None:
    return None if at is None else iso(at)

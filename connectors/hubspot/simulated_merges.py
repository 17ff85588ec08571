"""Merges of companies in the simulated portal: those of its world, and those made through HubSpot's own endpoint."""

from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import orjson

from connectors.hubspot.simulated_ids import company_id
from connectors.simulation.stage import Simulation
from connectors.simulation.world import NEVER, World
from vitals.errors import UserError


@dataclass(frozen=True, slots=True)
class Merge:
    """From source second `at` until before `until`, the company `loser` is part of `winner`.

    HubSpot itself takes no merge back; where a world brings the account back, so does the portal.
    """

    winner: int
    loser: int
    at: int
    until: int = NEVER


class Merges:
    """Merges in the order of their time; with a path, those that are added survive a restart."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.done: list[Merge] = []
        if path is not None and path.exists():
            try:
                self.done = [Merge(**orjson.loads(line)) for line in path.read_bytes().splitlines()]
            except (TypeError, ValueError) as error:
                raise UserError(f"{path} does not hold merges; delete it to start again.") from error

    def add(self, merge: Merge) -> None:
        """Keeps a merge."""
        self.done.append(merge)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as lines:
                lines.write(orjson.dumps(merge, option=orjson.OPT_APPEND_NEWLINE))

    def with_those_of(self, world: World) -> "Merges":
        """These and the world's own."""
        both = Merges()
        both.done = sorted([*self.done, *_of(world)], key=lambda merge: merge.at)
        return both

    def winner_of(self, company: int, now: int) -> int:
        """The company that goes on for one, itself where it was not merged."""
        for merge in self.done:
            if merge.at <= now < merge.until and merge.loser == company:
                company = merge.winner
        return company

    def into(self, company: int, now: int) -> list[Merge]:
        """What was merged into a company, directly or through a loser of its own, the oldest first."""
        return [
            merge
            for merge in self.done
            if merge.at <= now < merge.until and merge.loser != company and self.winner_of(merge.winner, now) == company
        ]


def _of(world: World) -> list[Merge]:
    found = []
    by_crm_id = {account.crm_id: account for account in world.accounts}
    for account in world.accounts:
        standing = [change for change in account.changes if change.deleted is not None]
        for place, change in enumerate(standing):
            survivor = by_crm_id.get(change.merged_into or "")
            if survivor is not None:
                until = standing[place + 1].at if place + 1 < len(standing) else NEVER
                found.append(Merge(company_id(survivor.external_id), company_id(account.external_id), change.at, until))
    return found


_PORTALS: WeakKeyDictionary[Simulation, Merges] = WeakKeyDictionary()


def merges_of(simulation: Simulation) -> Merges:
    """What was merged through the endpoint of a simulation's portal."""
    kept = _PORTALS.get(simulation)
    if kept is None:
        state = simulation.state
        kept = _PORTALS[simulation] = Merges(state / "hubspot_merges.jsonl" if state else None)
    return kept

"""Merges of companies in the simulated portal: a world knows none, so they are made through HubSpot's own endpoint."""

from dataclasses import dataclass
from pathlib import Path

import orjson

from vitals.errors import UserError


@dataclass(frozen=True, slots=True)
class Merge:
    """At source second `at`, the company `loser` became part of `winner`."""

    winner: int
    loser: int
    at: int


class Merges:
    """The merges so far; with a path they survive a restart."""

    def __init__(self, path: Path | None) -> None:
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

    def winner_of(self, company: int, now: int) -> int:
        """The company that goes on for one, itself where it was not merged."""
        for merge in self.done:
            if merge.at <= now and merge.loser == company:
                company = merge.winner
        return company

    def into(self, company: int, now: int) -> list[Merge]:
        """What was merged into a company, directly or through a loser of its own, the oldest first."""
        return [
            merge
            for merge in self.done
            if merge.at <= now and merge.loser != company and self.winner_of(merge.winner, now) == company
        ]

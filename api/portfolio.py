"""The newest live score of every account, ready to be sent. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from vitals.errors import BadRecordError


@dataclass(frozen=True, slots=True)
class LiveScore:
    """An account's live score as it is on the wire: fields of the design's delta JSON. Scores are in 10^-6 points."""

    account_id: str
    model: str
    position: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a live score is shown with."""

    name: str
    segment: str | None
    owner: str | None
    deleted: bool


def parse(encoded: bytes) -> LiveScore:
    """A live score from its JSON.

    Raises:
        BadRecordError: it is not one.
    """
    try:
        fields = orjson.loads(encoded)
        return LiveScore(str(fields["account_id"]), str(fields["model"]), int(fields["position"]), fields)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise BadRecordError(f"Not a live score: {error}") from error


class Portfolio:
    """Live scores by account.

    Of one model the greater position wins, so taking a score twice, or an old one late, changes nothing. Another model
    takes over unless it is behind.
    """

    def __init__(self) -> None:
        self._scores: dict[str, LiveScore] = {}
        self._listings: dict[str, Listing] = {}
        self._encoded: dict[str, bytes] = {}

    def __len__(self) -> int:
        """How many accounts have a live score."""
        return len(self._scores)

    def take(self, scores: Iterable[LiveScore]) -> set[str]:
        """Keeps the newer of what is known and what comes. Returns the accounts that changed."""
        changed = set()
        for score in scores:
            known = self._scores.get(score.account_id)
            if known is not None and not _supersedes(score, known):
                continue
            self._scores[score.account_id] = score
            self._encoded.pop(score.account_id, None)
            changed.add(score.account_id)
        return changed

    def list(self, listings: Mapping[str, Listing]) -> None:
        """Replaces names, segments and owners."""
        for account_id in self._scores:
            if listings.get(account_id) != self._listings.get(account_id):
                self._encoded.pop(account_id, None)
        self._listings = dict(listings)

    @property
    def listings(self) -> Mapping[str, Listing]:
        """Names, segments and owners by account."""
        return self._listings

    def unlisted(self, accounts: Iterable[str]) -> bool:
        """Whether any of the accounts has no name yet."""
        return any(account_id not in self._listings for account_id in accounts)

    def newest_model(self, accounts: Iterable[str] | None = None) -> str | None:
        """The model of the score with the greatest position, of the given accounts or of all; None without scores."""
        scores = self._scores.values() if accounts is None else [self._scores[account_id] for account_id in accounts]
        newest = max(scores, key=lambda score: (score.position, score.model), default=None)
        return None if newest is None else newest.model

    def encoded(self, accounts: Iterable[str] | None = None) -> Iterator[bytes]:
        """JSON of the given accounts, or of all; deleted ones and those without a score are left out."""
        for account_id in self._scores if accounts is None else accounts:
            score, listing = self._scores.get(account_id), self._listings.get(account_id)
            if score is None or (listing is not None and listing.deleted):
                continue
            if account_id not in self._encoded:
                self._encoded[account_id] = _encode(score, listing)
            yield self._encoded[account_id]


def _supersedes(score: LiveScore, known: LiveScore) -> bool:
    if score.model == known.model:
        return score.position > known.position
    return score.position >= known.position


def _encode(score: LiveScore, listing: Listing | None) -> bytes:
    shown = (listing.name, listing.segment, listing.owner) if listing is not None else (None, None, None)
    return orjson.dumps({**score.fields, "name": shown[0], "segment": shown[1], "owner": shown[2]})

"""What sources say of whose an identity is: claims, merges, and what a stream says anew. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.contract import Json, Link, Mapped, Merge, State
from connectors.fields import iso
from connectors.identity.domains import DOMAIN
from vitals.events import account_id

MANUAL, CRM_LINK, EXTERNAL_ID, BY_DOMAIN = "manual", "crm_link", "external_id", "domain"
PRECEDENCE = (MANUAL, CRM_LINK, EXTERNAL_ID, BY_DOMAIN)
"""Evidence from the strongest to the weakest."""

CLAIMS = "claims/"
"""Entries of a stream's state: what it claims now, by claimant. They decide what is new, and so what is published: the
index may lag behind and would let a claim be lost that was withdrawn and made again."""
MERGED = "merged/"
"""Entries of a stream's state: the account that a merged account (by its identity) went into, and since when."""

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A link as it was published. `stream` tells who claims: a connector's stream, or `manual`; `by` names a person."""

    identity: str
    account_ref: str
    evidence: str
    source: str
    stream: str
    valid_from: datetime
    withdrawn: bool = False
    by: str | None = None
    claimed_at: datetime | None = None

    @property
    def key(self) -> str:
        """Key on the compacted topic. There is one claim by hand for an identity: a newer one replaces it."""
        if self.evidence == MANUAL:
            return f"claim|{self.identity}|{self.stream}|{self.evidence}"
        return f"claim|{self.identity}|{self.stream}|{self.evidence}|{self.account_ref}"

    def record(self, claimed_at: datetime) -> dict[str, Any]:
        """Avro record (`IdentityClaim`)."""
        return {
            "identity": self.identity, "account_ref": self.account_ref, "evidence": self.evidence,
            "source": self.source, "stream": self.stream, "valid_from": self.valid_from, "withdrawn": self.withdrawn,
            "claimed_by": self.by, "claimed_at": claimed_at,
        }  # fmt: skip

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Claim":
        """From its Avro record."""
        return cls(
            record["identity"], record["account_ref"], record["evidence"], record["source"], record["stream"],
            record["valid_from"], record["withdrawn"], record["claimed_by"], record["claimed_at"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alias:
    """A merged account: from `valid_from` on (source time) its events belong to the surviving account."""

    identity: str
    surviving: str
    source: str
    valid_from: datetime
    withdrawn: bool = False

    @property
    def account_id(self) -> str:
        """Id of the merged account."""
        return account_id(self.identity)

    @property
    def surviving_id(self) -> str:
        """Id of the account that it went into."""
        return account_id(self.surviving)

    @property
    def key(self) -> str:
        """Key on the compacted topic."""
        return f"alias|{self.account_id}"

    def record(self, written_at: datetime) -> dict[str, Any]:
        """Avro record (`AccountAlias`)."""
        return {
            "account_id": self.account_id, "surviving_id": self.surviving_id, "identity": self.identity,
            "surviving_identity": self.surviving, "valid_from": self.valid_from, "source": self.source,
            "withdrawn": self.withdrawn, "written_at": written_at,
        }  # fmt: skip

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Alias":
        """From its Avro record."""
        return cls(
            record["identity"], record["surviving_identity"], record["source"], record["valid_from"],
            record["withdrawn"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statements:
    """What an object says that its stream has not said before, and the state entries that remember it."""

    claims: Sequence[Claim]
    aliases: Sequence[Alias]
    state: Mapping[str, Json]


def claimant(link: Link) -> str:
    """Whose record makes the claim: the CRM's account where that names the other system's id, else the source's own."""
    return link.account_ref if link.evidence == CRM_LINK or link.identity.startswith(DOMAIN) else link.identity


def statements(source: str, stream: str, mapped: Mapped, state: State) -> Statements:
    """What is new in an object's links and merges.

    The links of a claimant are all that it claims: what it claimed before and does not any more is withdrawn. Links
    that are only withdrawals take back just those. An unchanged claim is not said again, and keeps its `valid_from`.
    """
    links: dict[str, list[Link]] = {name: [] for name in mapped.claimants}
    links |= {profile.identity: [] for profile in mapped.profiles}
    for link in mapped.links:
        links.setdefault(claimant(link), []).append(link)
    claims: list[Claim] = []
    entries: dict[str, Json] = {}
    for name, stated in links.items():
        before: dict[_Key, str] = {(one, other, why): since for one, other, why, since in state.get(CLAIMS + name, ())}
        now = _now(before, stated, complete=name in mapped.claimants)
        if now == before:
            continue
        withdrawn_at = newest([*(link.valid_from for link in stated), *(p.valid_from for p in mapped.profiles)])

        def claim(key: _Key, valid_from: datetime, *, withdrawn: bool) -> Claim:
            identity, account_ref, evidence = key
            return Claim(identity, account_ref, evidence, source, stream, valid_from, withdrawn)

        claims += [
            claim(key, datetime.fromisoformat(since), withdrawn=False)
            for key, since in now.items()
            if key not in before
        ]
        claims += [
            claim(key, withdrawn_at or datetime.fromisoformat(since), withdrawn=True)
            for key, since in before.items()
            if key not in now
        ]
        entries[f"{CLAIMS}{name}"] = [[*key, since] for key, since in now.items()] or None
    aliases, merged = _merges(source, mapped, state)
    return Statements(claims, aliases, entries | merged)


def _key(link: Link) -> _Key:
    return link.identity, link.account_ref, link.evidence


def _now(before: Mapping[_Key, str], stated: Sequence[Link], *, complete: bool) -> dict[_Key, str]:
    """The claimant's claims from here on, each with the instant from which it holds."""
    withdrawn = {_key(link) for link in stated if link.withdrawn}
    if withdrawn and len(withdrawn) == len(stated) and not complete:
        return {key: since for key, since in before.items() if key not in withdrawn}
    made = {_key(link): iso(link.valid_from) for link in stated if not link.withdrawn}
    return {key: before.get(key, since) for key, since in made.items()}


def _merges(source: str, mapped: Mapped, state: State) -> tuple[list[Alias], dict[str, Json]]:
    """New merges, and those that a profile has taken back: an account that is restored is its own again."""
    aliases: list[Alias] = []
    entries: dict[str, Json] = {}
    merges: Mapping[str, Merge] = {merge.identity: merge for merge in mapped.merges}
    for identity in {*merges, *(profile.identity for profile in mapped.profiles)}:
        entry = f"{MERGED}{identity}"
        before, merge = state.get(entry), merges.get(identity)
        if merge is not None and (before is None or before[0] != merge.surviving):
            aliases.append(Alias(identity, merge.surviving, source, merge.valid_from))
            entries[entry] = [merge.surviving, iso(merge.valid_from)]
        elif merge is None and before is not None:
            aliases.append(Alias(identity, before[0], source, datetime.fromisoformat(before[1]), withdrawn=True))
            entries[entry] = None
    return aliases, entries


def newest(moments: Iterable[datetime | None]) -> datetime | None:
    """The latest of the instants that there are."""
    return max((moment for moment in moments if moment is not None), default=None)

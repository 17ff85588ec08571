"""Why an identity is the account that it is, or nobody's: every claim with what it did. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from connectors.fields import full_id, iso
from connectors.identity.claims import PRECEDENCE, Alias, Claim
from connectors.identity.domains import DOMAIN, is_shared
from connectors.identity.resolution import PROFILE, Decision, Identities


@dataclass(frozen=True, slots=True)
class Explained:
    """One name: who it is, the claims about it with the effect of each, and the merges of its account."""

    identity: str
    decision: Decision
    claims: list[tuple[Claim, str]]
    merges: list[Alias]
    merged_in: list[Alias]

    def json(self) -> dict[str, Any]:
        """As `--json` shows it; instants are ISO 8601 in UTC."""
        return {
            "identity": self.identity,
            "account_id": self.decision.account,
            "evidence": self.decision.evidence,
            "rivals": sorted(self.decision.rivals),
            "claims": [
                {
                    "identity": claim.identity, "account_ref": claim.account_ref, "evidence": claim.evidence,
                    "source": claim.source, "stream": claim.stream, "valid_from": iso(claim.valid_from),
                    "claimed_at": None if claim.claimed_at is None else iso(claim.claimed_at),
                    "claimed_by": claim.by, "effect": effect,
                }
                for claim, effect in self.claims
            ],
            "merged_into": [_alias(alias) for alias in self.merges],
            "merged_in": [_alias(alias) for alias in self.merged_in],
        }  # fmt: skip


def _alias(alias: Alias) -> dict[str, str]:
    return {
        "account_id": alias.account_id, "identity": alias.identity, "surviving_id": alias.surviving_id,
        "surviving_identity": alias.surviving, "valid_from": iso(alias.valid_from), "source": alias.source,
    }  # fmt: skip


def names_of(identities: Identities, text: str) -> list[str]:
    """The names that somebody means: a name itself, an account's id with every name of it, or the last part of names.

    Empty where nothing that is known fits.
    """
    known = identities.known_accounts()
    claimed = {name for claim in identities.known_claims() for name in (claim.identity, claim.account_ref)}
    everything = sorted(name for name in {*known, *claimed} if not name.startswith(DOMAIN))
    if text in everything:
        return [text]
    same_account = [name for name in everything if text in (known.get(name), identities.resolve(name))]
    wanted = {text, full_id(text)}
    return same_account or [name for name in everything if name.rpartition(":")[2] in wanted]


def explain(identities: Identities, identity: str) -> Explained:
    """Everything that is known of a name, the claims in the order in which they are asked."""
    decision = identities.decide(identity)
    about = [
        claim
        for claim in identities.known_claims()
        if identity in (claim.identity, claim.account_ref if claim.identity.startswith(DOMAIN) else claim.identity)
    ]
    about.sort(key=lambda claim: (claim.withdrawn, _rank(claim.evidence), claim.key))
    own = identities.account_of(identity)
    accounts = {account for account in (own, decision.account) if account is not None}
    return Explained(
        identity,
        decision,
        [(claim, _effect(identities, claim, decision)) for claim in about],
        list(_merges(identities, own or decision.account)),
        [alias for alias in identities.known_aliases() if alias.surviving_id in accounts],
    )


def _rank(evidence: str) -> int:
    return PRECEDENCE.index(evidence) if evidence in PRECEDENCE else len(PRECEDENCE)


def _effect(identities: Identities, claim: Claim, decision: Decision) -> str:
    """What a claim does, in words that finish "this claim …"."""
    domain = claim.identity if claim.identity.startswith(DOMAIN) else claim.account_ref
    if claim.withdrawn:
        return "is withdrawn"
    if claim.evidence not in PRECEDENCE:
        return "has an evidence that this version does not know"
    if decision.evidence == PROFILE:
        return "gives the account its domain" if domain.startswith(DOMAIN) else "is not asked: a profile decides"
    if claim in decision.claims:
        return "decides" if decision.account is not None else "contradicts another of the same strength"
    if decision.evidence is not None and _rank(claim.evidence) > _rank(decision.evidence):
        return "is weaker than what decides" if decision.account else "is weaker than what contradicts itself"
    if domain.startswith(DOMAIN):
        if is_shared(domain.removeprefix(DOMAIN)):
            return "is of a domain that many share"
        held = len(identities.holders(domain))
        return "is of a domain that no account has" if not held else f"is of a domain that {held} accounts have"
    return "names no known account"


def _merges(identities: Identities, account: str | None) -> Iterator[Alias]:
    """The merges that an account went through, one after another."""
    seen: set[str] = set()
    while account is not None and account not in seen:
        seen.add(account)
        alias = identities.alias_of(account)
        if alias is None:
            return
        yield alias
        account = alias.surviving_id

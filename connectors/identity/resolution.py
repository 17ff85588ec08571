"""Who an identity is, decided from all claims. Pure, and the same whatever the order in which the claims came.

An identity that an identity source defined is its account. Otherwise the strongest evidence that names a known account
decides; where claims of that strength name two, nobody is guessed. A claim may name another system's account, which is
looked up in turn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.identity.claims import MANUAL, PRECEDENCE, Alias, Claim, newest
from connectors.identity.domains import DOMAIN, is_shared
from vitals.events import account_id

PROFILE = "profile"
"""Evidence of an identity that an identity source defined itself."""
CRM_ACCOUNT = "crm:account:"


@dataclass(frozen=True, slots=True)
class Decision:
    """Who an identity is.

    `account` None: nobody known, or several by claims of equal strength (`rivals`). `evidence` decided, or could not.
    `as_of` is the newest source time of the claims that it rests on; None where only the identity itself or a person
    decided, which no later word of an identity source changes.
    """

    account: str | None
    evidence: str | None = None
    claims: Sequence[Claim] = ()
    rivals: frozenset[str] = frozenset()
    as_of: datetime | None = None


class Identities:
    """Everything that is known of identities: accounts, claims, aliases.

    With a `base` it holds what a page adds to that, until the page is committed. What is stored is replaced and never
    changed, so that threads may read while another adds.
    """

    def __init__(self, *, has_identity_source: bool, base: "Identities | None" = None) -> None:
        self.has_identity_source = has_identity_source
        self._base = base
        self._accounts: dict[str, str] = {}
        self._claims: dict[str, dict[str, Claim]] = {}
        self._holders: dict[str, frozenset[str]] = {}
        self._aliases: dict[str, Alias] = {}

    def define(self, identity: str, account: str) -> None:
        """An identity source's own word: the identity is this account."""
        self._accounts[identity] = account

    def claim(self, claim: Claim) -> None:
        """Takes a claim, or its withdrawal; the newest of a key counts."""
        # A domain says as little as an account's name does which end spoke: both mean that the account has the domain.
        if claim.identity.startswith(DOMAIN):
            name, domain = claim.account_ref, claim.identity
        else:
            name, domain = claim.identity, claim.account_ref
        self._claims[name] = self._claims.get(name, {}) | {claim.key: claim}
        if domain.startswith(DOMAIN):
            self._holders[domain] = self._holders.get(domain, frozenset()) | {name}

    def alias(self, alias: Alias) -> None:
        """Takes a merge, or that it was taken back."""
        self._aliases[alias.account_id] = alias

    def account_of(self, identity: str) -> str | None:
        """The account that an identity source defined by this identity.

        Without an identity source every `crm:account:` identity is its own account, as the design says for companies
        that have no CRM.
        """
        if not self.has_identity_source:
            return account_id(identity) if identity.startswith(CRM_ACCOUNT) else None
        found = self._accounts.get(identity)
        return found if found is not None or self._base is None else self._base.account_of(identity)

    def claims_about(self, identity: str) -> list[Claim]:
        """Every claim about an identity that is not withdrawn, the strongest evidence first."""
        return sorted(
            (claim for claim in self._all_claims(identity).values() if not claim.withdrawn and claim.evidence in _RANK),
            key=lambda claim: (_RANK[claim.evidence], claim.key),
        )

    def alias_of(self, account: str) -> Alias | None:
        """The merge that ended an account, if any."""
        found = self._aliases.get(account)
        if found is None:
            return None if self._base is None else self._base.alias_of(account)
        return None if found.withdrawn else found

    def holders(self, domain: str) -> dict[str, str]:
        """The known accounts that have a domain (with its prefix), by identity; empty for one that many share."""
        if is_shared(domain.removeprefix(DOMAIN)):
            return {}
        found = {}
        for name in self._names_with(domain):
            account = self.account_of(name)
            if account is not None and any(_target(claim) == domain for claim in self.claims_about(name)):
                found[name] = account
        return found

    def surviving(self, account: str, event_time: datetime | None = None) -> str:
        """The account that an account's events of this time belong to; None follows every merge."""
        seen = {account}
        while (alias := self.alias_of(account)) is not None:
            if (event_time is not None and event_time < alias.valid_from) or alias.surviving_id in seen:
                break
            account = alias.surviving_id
            seen.add(account)
        return account

    def decide(self, identity: str | None, event_time: datetime | None = None) -> Decision:
        """Whose an event of this time is, whose source names this identity."""
        if identity is None:
            return Decision(None)
        found = self._decide(identity, frozenset())
        if found.account is None:
            return found
        account = self.surviving(found.account, event_time)
        return Decision(account, found.evidence, found.claims, found.rivals, found.as_of)

    def resolve(self, identity: str | None, event_time: datetime | None = None) -> str | None:
        """The account id, or None where the identity is unknown so far."""
        return self.decide(identity, event_time).account

    def _decide(self, identity: str, asking: frozenset[str]) -> Decision:
        own = self.account_of(identity)
        if own is not None:
            return Decision(own, PROFILE)
        asking |= {identity}
        claims = self.claims_about(identity)
        for evidence in PRECEDENCE:
            stated = [claim for claim in claims if claim.evidence == evidence]
            found = {claim: target for claim in stated if (target := self._target_account(claim, asking)) is not None}
            if not found:
                continue
            accounts = {target.account for target in found.values() if target.account is not None}
            as_of = newest(
                moment
                for claim, target in found.items()
                for moment in (target.as_of, None if evidence == MANUAL else claim.valid_from)
            )
            survivors = {self.surviving(account) for account in accounts}
            if len(survivors) > 1:
                return Decision(None, evidence, tuple(found), frozenset(accounts), as_of)
            # Claims on accounts that were merged meanwhile agree, and mean the one that is left.
            (account,) = accounts if len(accounts) == 1 else survivors
            return Decision(account, evidence, tuple(found), as_of=as_of)
        return Decision(None)

    def _target_account(self, claim: Claim, asking: frozenset[str]) -> Decision | None:
        """The account that a claim names; None where it is unknown, so that the claim decides nothing."""
        target = _target(claim)
        if target.startswith(DOMAIN):
            accounts = set(self.holders(target).values())
            survivors = {self.surviving(account) for account in accounts}
            if len(survivors) != 1:
                return None
            (account,) = accounts if len(accounts) == 1 else survivors
            return Decision(account)
        if target in asking:
            return None
        found = self._decide(target, asking)
        return None if found.account is None else found

    def _all_claims(self, identity: str) -> dict[str, Claim]:
        own = self._claims.get(identity, {})
        return own if self._base is None else self._base._all_claims(identity) | own

    def _names_with(self, domain: str) -> frozenset[str]:
        own = self._holders.get(domain, frozenset())
        return own if self._base is None else self._base._names_with(domain) | own

    def known_claims(self) -> Iterator[Claim]:
        """Every claim, the withdrawn ones too."""
        for claims in list(self._claims.values()):
            yield from claims.values()

    def known_accounts(self) -> dict[str, str]:
        """Accounts by the identities that define them."""
        return dict(self._accounts)

    def known_aliases(self) -> list[Alias]:
        """Every merge that holds."""
        return [alias for alias in list(self._aliases.values()) if not alias.withdrawn]


_RANK = {evidence: rank for rank, evidence in enumerate(PRECEDENCE)}


def _target(claim: Claim) -> str:
    """What a claim about a name says that the name is or has."""
    return claim.identity if claim.identity.startswith(DOMAIN) else claim.account_ref

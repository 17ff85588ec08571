"""How other systems name an account of the CRM: right in a world as generated, damaged as in real companies."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from connectors.simulation.world import Account, HeldLink, World


def link_at(account: Account, now: int) -> HeldLink:
    """What the support and billing systems hold of an account at a source time."""
    for link in reversed(account.held):
        if link.at <= now:
            return link
    return HeldLink(account.created_at, account.crm_id, account.domain)


@dataclass(frozen=True, slots=True)
class Damage:
    """Which accounts (indexes) are linked badly, and how.

    `domain_only`: the CRM's id was never filled in, the domain was. `unlinked_until`: neither, until a person fills
    both in. `wrong_domain`: the right id beside the domain of another account. `wrong_id`: the id of another account,
    the right domain, and the CRM's own record, which is right.
    """

    domain_only: Sequence[int]
    unlinked_until: Sequence[int]
    wrong_domain: Sequence[int]
    wrong_id: Sequence[int]

    @property
    def accounts(self) -> int:
        """How many accounts are damaged."""
        return sum(map(len, (self.domain_only, self.unlinked_until, self.wrong_domain, self.wrong_id)))


def damaged(world: World, seed: int, linked_at: int) -> tuple[World, Damage]:
    """A world in which a tenth of the links is missing or contradicts another, and which those are.

    4 % have only the domain, 3 % nothing until `linked_at` (source time), 3 % a link that contradicts a stronger one:
    half of them the domain of another account, half the id of another account where the CRM names the right one.
    """
    draw = random.Random(seed)  # noqa: S311 - a simulated world
    count = len(world.accounts)
    chosen = draw.sample(range(count), max(4, round(count * 0.1)))
    first, second = max(1, round(count * 0.04)), max(2, round(count * 0.07))
    contradicting = chosen[second:]
    damage = Damage(
        tuple(chosen[:first]),
        tuple(chosen[first:second]),
        tuple(contradicting[::2]),
        tuple(contradicting[1::2]),
    )
    accounts = list(world.accounts)

    def hold(index: int, *links: HeldLink, crm_names_others: bool = False) -> None:
        accounts[index] = replace(accounts[index], held=links, crm_names_others=crm_names_others)

    for index in chosen:
        account = world.accounts[index]
        other = world.accounts[(index + draw.randrange(1, count)) % count]
        at, domain = account.created_at, account.domain
        if index in damage.domain_only:
            hold(index, HeldLink(at, None, domain))
        elif index in damage.unlinked_until:
            hold(index, HeldLink(at, None, None), HeldLink(linked_at, account.crm_id, domain))
        elif index in damage.wrong_domain:
            hold(index, HeldLink(at, account.crm_id, other.domain))
        else:
            hold(index, HeldLink(at, other.crm_id, domain), crm_names_others=True)
    return replace(world, accounts=tuple(accounts)), damage

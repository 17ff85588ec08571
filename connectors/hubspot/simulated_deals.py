"""A world's opportunities as HubSpot deals: the new business that an account begins with, its renewals, expansions."""

from dataclasses import dataclass

from connectors.hubspot.simulated_ids import deal_id
from connectors.simulation.world import Account, World, seat_price_cents

STAGES = {"Closed Won": "closedwon", "Closed Lost": "closedlost"}
OPEN_STAGE = "appointmentscheduled"


@dataclass(frozen=True, slots=True)
class Deal:
    """A deal as of a source time; `entered_at` is when it came into its stage, which is its last change."""

    number: int
    account: Account
    name: str
    existing_business: bool
    amount_cents: int
    created_at: int
    entered_at: int
    stage: str
    close_at: int

    @property
    def closed(self) -> bool:
        """Whether it is won or lost."""
        return self.stage != OPEN_STAGE


def deals_at(world: World, now: int) -> list[Deal]:
    """Every deal that is there at `now`, by ascending id."""
    found = [_new_business(account) for account in world.accounts if account.first_activity_at <= now]
    for one in world.opportunities:
        if one.created_at > now:
            continue
        account, (since, stage) = world.accounts[one.account], one.stage_at(now)
        deal = Deal(
            number=deal_id(one.opportunity_id),
            account=account,
            name=f"{account.name} - {one.kind}",
            existing_business=True,
            amount_cents=one.amount_cents,
            created_at=one.created_at,
            entered_at=since,
            stage=STAGES.get(stage, OPEN_STAGE),
            close_at=since if stage in STAGES else one.expected_close,
        )
        found.append(deal)
    return sorted(found, key=lambda deal: deal.number)


def deal_moments(world: World) -> list[tuple[int, int, bool]]:
    """When deals change: (source second, deal, whether it is created then), in no order."""
    moments = [(account.first_activity_at, deal_id(account.external_id), True) for account in world.accounts]
    for one in world.opportunities:
        number = deal_id(one.opportunity_id)
        moments.append((one.created_at, number, True))
        moments += [(at, number, False) for at, _ in one.stages if at > one.created_at]
    return moments


def _new_business(account: Account) -> Deal:
    contract, won_at = account.contract, account.first_activity_at
    list_price = account.contract_seats * seat_price_cents(None) * 12
    return Deal(
        number=deal_id(account.external_id),
        account=account,
        name=f"{account.name} - New Business",
        existing_business=False,
        amount_cents=list_price if contract is None else contract.arr_cents,
        created_at=won_at,
        entered_at=won_at,
        stage="closedwon",
        close_at=won_at,
    )

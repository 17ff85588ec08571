"""The declared mapping of the real data, and what is said where the file is not what it should be."""

import gzip
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from connectors.simulation import git_usage
from connectors.simulation.calendar import DAY, epoch
from connectors.simulation.ticket_versions import ticket_versions
from connectors.simulation.vendors import declared
from connectors.simulation.world import LIST_PRICE_CENTS, World
from vitals.errors import UserError

END = epoch("2024-03-01")


def test_counts_of_the_mapping(git_world: World) -> None:
    counts = declared(git_world, END)
    assert counts["salesforce"] == {
        "accounts": 244,
        "opportunities": 244,
        "users": 8,
        "cases": counts["zendesk"]["tickets"],
        "activities": 24_056,
    }
    assert counts["mixpanel"] == {"events": 51_047, "events_of_accounts": 50_312, "events_of_unknown": 735}
    assert counts["zendesk"]["tickets"] == counts["zendesk"]["solved_tickets"] == 36_911
    assert counts["stripe"]["invoices"] == counts["stripe"]["paid_invoices"] == 2_172
    assert counts["stripe"]["subscriptions"] == counts["stripe"]["canceled_subscriptions"] == 978


def test_ids_are_unique_and_well_formed(git_world: World) -> None:
    ids = [account.crm_id for account in git_world.accounts]
    assert len(set(ids)) == len({account.name for account in git_world.accounts}) == 244
    assert all(len(crm_id) == 18 and crm_id.startswith("001") for crm_id in ids)
    assert len(np.unique(git_world.events.row)) == 51_047


def test_private_persons_are_known_to_no_crm(git_world: World) -> None:
    unknown = git_world.events.company_ids[244:]
    assert unknown
    assert not set(unknown) & {account.external_id for account in git_world.accounts}
    assert all(label.startswith("personal_") for label in unknown)


def test_an_account_is_there_a_day_before_anything_it_does(git_world: World) -> None:
    first = np.full(len(git_world.events.company_ids), END)
    np.minimum.at(first, git_world.events.company, git_world.events.event_time)
    np.minimum.at(first, git_world.tickets.account, git_world.tickets.opened_at)
    for account in git_world.accounts:
        assert account.created_at == first[account.index] - DAY


def test_ticket_ids_follow_first_visibility(git_world: World) -> None:
    tickets = git_world.tickets
    assert (np.diff(tickets.opened_at) >= 0).all()
    assert (np.diff(tickets.ticket_id) == 1).all()
    assert int((tickets.opened_at > tickets.solved_at).sum()) == 98
    versions = ticket_versions(tickets, {})
    # Solved at once, or before it is opened: one version. Otherwise two.
    assert len(versions.since) == 2 * 36_911 - 98 - 151


def test_every_month_of_use_is_billed_on_the_first_of_the_next(git_world: World) -> None:
    seats = git_world.seats
    assert int((seats.users > 0).sum()) == len(git_world.invoices)
    assert int(seats.users.sum()) * LIST_PRICE_CENTS == sum(one.amount_cents for one in git_world.invoices)
    for invoice in git_world.invoices:
        month = int(np.searchsorted(seats.months, invoice.period_start))
        assert seats.months[month] == invoice.period_start
        assert invoice.created_at == invoice.period_end == seats.months[month + 1]
        assert invoice.seats == seats.users[invoice.account, month]
        assert 0 < (invoice.paid_at or 0) - invoice.created_at < 10


def test_a_month_without_users_cancels_and_new_use_begins_anew(git_world: World) -> None:
    by_account: dict[int, list[tuple[int, int]]] = {}
    for one in git_world.subscriptions:
        assert one.canceled_at is not None
        by_account.setdefault(one.account, []).append((one.created_at, one.canceled_at))
    for spans in by_account.values():
        assert all(earlier[1] < later[0] for earlier, later in itertools.pairwise(spans))
    # The last month of the data is 2023-12: what is active then ends when 2024-01 has no users.
    assert max(one.canceled_at or 0 for one in git_world.subscriptions) == epoch("2024-02-01")


def test_loading_is_deterministic(git_world: World, data_dir: Path) -> None:
    again = git_usage.load(data_dir)
    assert again.accounts == git_world.accounts
    assert again.invoices == git_world.invoices
    assert again.subscriptions == git_world.subscriptions


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"events\.csv\.gz does not exist"):
        git_usage.load(tmp_path)


def _write(folder: Path, text: str) -> Path:
    (folder / "git_usage").mkdir()
    with gzip.open(folder / "git_usage" / "events.csv.gz", "wt") as lines:
        lines.write(text)
    return folder


HEADER = "timestamp,account,user,feature,lines_changed,files,change_id,opened_at,personal_email\n"
ROW = "2023-01-05T10:00:00Z,a_1,u_1,lib,3,1,c_1,2023-01-04T10:00:00Z,0\n"


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"events\.csv\.gz lacks the column opened_at"):
        git_usage.load(_write(tmp_path, HEADER.replace(",opened_at", "") + ROW))


def test_a_bad_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 3"):
        git_usage.load(_write(tmp_path, HEADER + ROW + ROW.replace("2023-01-05T10:00:00Z", "yesterday")))


def test_a_file_that_is_not_gzip_is_named(tmp_path: Path) -> None:
    (tmp_path / "git_usage").mkdir()
    (tmp_path / "git_usage" / "events.csv.gz").write_text(HEADER)
    with pytest.raises(UserError, match="gzip"):
        git_usage.load(tmp_path)


def test_one_row_gives_a_whole_world(tmp_path: Path) -> None:
    world = git_usage.load(_write(tmp_path, HEADER + ROW))
    assert [one.seats for one in world.invoices] == [1]
    assert world.subscriptions[0].canceled_at == epoch("2023-03-01")


def test_the_declared_counts_of_2023(git_world: World) -> None:
    low, high = epoch("2023-01-01"), epoch("2024-01-01")

    def within(at: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        return (at >= low) & (at < high)

    events, tickets = git_world.events, git_world.tickets
    assert int(within(events.event_time).sum()) == 4_701
    assert int((within(events.event_time) & (events.company < 244)).sum()) == 4_667
    assert (int(within(tickets.opened_at).sum()), int(within(tickets.solved_at).sum())) == (3_134, 3_288)
    assert sum(low <= account.first_activity_at < high for account in git_world.accounts) == 11
    invoices = [one for one in git_world.invoices if low <= one.created_at < high]
    assert (len(invoices), sum(one.seats for one in invoices)) == (205, 747)
    subscriptions = git_world.subscriptions
    assert sum(low <= one.created_at < high for one in subscriptions) == 90
    assert sum(low <= (one.canceled_at or 0) < high for one in subscriptions) == 89
    assert sum(low <= at < high for one in subscriptions for at, _ in one.seat_changes[1:]) == 70

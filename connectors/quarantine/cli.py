"""`vitals quarantine`: what waits for its account, why, and the link that ends it.

The modules that do the work are imported by each command: this module is imported by every `vitals` process.
"""

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from vitals.avro import AvroSerde
    from vitals.settings import Settings

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("quarantine")
def group() -> None:
    """Events whose account is unknown: they wait, and are driven again once a claim decides whose they are."""


def _parts() -> "tuple[Settings, AvroSerde]":
    from vitals.avro import AvroSerde, Registry
    from vitals.settings import load_settings
    from vitals.telemetry import configure_logging

    settings = load_settings()
    configure_logging(settings)
    return settings, AvroSerde(Registry(settings.registry_url))


@group.command("list")
@click.option("--by", type=click.Choice(["account_ref", "source", "kind"]), default="account_ref", show_default=True)
@JSON
def list_waiting(by: str, as_json: bool) -> None:
    """Shows what waits, in groups; with the account where a name is decided by now."""
    import json

    from connectors.quarantine.inventory import grouped, index_now, quarantined_now

    settings, serde = _parts()
    found = quarantined_now(settings, serde)
    groups = grouped(found, by, index_now(settings, serde))
    if as_json:
        click.echo(json.dumps([one.json() for one in groups], indent=1))
        return
    if not groups:
        click.echo("The quarantine is empty.")
        return
    _print(_table(by, [one.json() for one in groups]))
    click.echo(f"{len(found):,} events wait. `vitals quarantine link NAME ACCOUNT` says whose a name is.")


@group.command("show")
@click.argument("wanted", metavar="POSITION|EVENT_ID")
@JSON
def show(wanted: str, as_json: bool) -> None:
    """Shows one event with the vendor's object, and what is known of the account that it names."""
    import json

    from connectors.identity.explanation import explain
    from connectors.quarantine.inventory import index_now, pick, quarantined_now

    settings, serde = _parts()
    one = pick(quarantined_now(settings, serde), wanted)
    name = one.record["account_ref"]
    known = None if name is None else explain(index_now(settings, serde).identities, name)
    if as_json:
        click.echo(json.dumps({**one.json(), "identity": known and known.json()}, indent=1))
        return
    for field, value in one.json().items():
        click.echo(f"{field:13} {json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value}")
    if known is None:
        click.echo("Its source names no account, so no link can decide it.")
    else:
        click.echo(f"`vitals identity explain {name}` tells why nobody is known by that name.")


@group.command("link")
@click.argument("identity")
@click.argument("account")
@click.option("--by", "who", help="Who says so; default: the user who runs this.")
@click.option("--withdraw", is_flag=True, help="Take the link back instead.")
def link(identity: str, account: str, who: str | None, withdraw: bool) -> None:
    """Says that the name IDENTITY is ACCOUNT (account id, CRM id or name). It is stronger than every other claim.

    What waits for the name is driven again at once; events that were published already keep their account.
    """
    import getpass

    from connectors.quarantine.inventory import index_now
    from connectors.quarantine.manual import manual_claim, publish
    from vitals.clock import WallClock

    settings, serde = _parts()
    index, now = index_now(settings, serde), WallClock().now()
    claim = manual_claim(index, identity, account, who or getpass.getuser(), now, withdrawn=withdraw)
    publish(settings, serde, claim, now)
    if withdraw:
        click.echo(f"That {claim.identity} is {claim.account_ref} is taken back, by {claim.by}.")
        return
    click.echo(f"{claim.identity} is {claim.account_ref}, says {claim.by}. What waits for it is driven again at once.")
    if not index.identities.claims_about(identity):
        click.echo("Nothing else speaks of that name: check its spelling with `vitals quarantine list`.", err=True)


@group.command("replay")
@click.option("--account-ref", help="Only events of this name.")
@JSON
def replay(account_ref: str | None, as_json: bool) -> None:
    """Drives again what imports have in quarantine, and shows what the running streams are about to drive.

    Streams of connectors and the collect endpoint do it by themselves, within a second or two of the claim.
    """
    import json

    from connectors.quarantine.imports import drive_imports, is_import
    from connectors.quarantine.inventory import index_now, waiting_now

    settings, serde = _parts()
    index, waiting = index_now(settings, serde), waiting_now(settings, serde)
    driven = drive_imports(settings, serde, index, sorted(filter(is_import, waiting)), account_ref)
    left: dict[str, Any] = {}
    for stream, ones in sorted(waiting_now(settings, serde).items()):
        names = sorted({one.account_ref for one in ones if account_ref in (None, one.account_ref)})
        decided = {name: index.resolve(name) for name in names}
        left[stream] = {"decided": {name: one for name, one in decided.items() if one}, "undecided": [
            name for name, one in decided.items() if one is None
        ]}  # fmt: skip
    if as_json:
        click.echo(json.dumps({"driven": driven, "waiting": left}, indent=1))
        return
    for stream, events in driven.items():
        click.echo(f"{stream}: {events:,} events driven again")
    for stream, names in left.items():
        for name, account in names["decided"].items():
            click.echo(f"{stream}: {name} is {account}; its stream drives it again while it runs")
        if names["undecided"]:
            click.echo(f"{stream}: {len(names['undecided']):,} names are undecided")
    if not driven and not left:
        click.echo("Nothing waits.")


def _table(by: str, rows: list[dict[str, Any]]) -> "Table":
    from rich.table import Table

    table = Table(by, "events", "sources", "oldest", "newest", "now", box=None, pad_edge=False)
    for row in rows:
        now = f"{row['account_id']} ({row['why']})" if row["account_id"] else row["why"]
        table.add_row(row["value"], f"{row['events']:,}", ", ".join(row["sources"]), row["oldest"], row["newest"], now)
    return table


def _print(table: "Table") -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 320  # a line a row, for whatever reads it
    console.print(table)


commands = [group]

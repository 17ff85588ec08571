"""`vitals identity explain`: who a name is, and why."""

import click


@click.group("identity")
def group() -> None:
    """Which account a system's own name means, and why."""


@group.command("explain")
@click.argument("wanted", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain_identity(wanted: str, as_json: bool) -> None:
    """Explains ID: a name such as zendesk:organization:77, an account id, or a vendor's id alone.

    Shows every claim with its evidence, source, time and effect, the merges, and what waits in quarantine.
    """
    import json

    from connectors.identity.explanation import explain, names_of
    from connectors.quarantine.inventory import index_now, quarantined_now
    from vitals.avro import AvroSerde, Registry
    from vitals.errors import UserError
    from vitals.settings import load_settings
    from vitals.telemetry import configure_logging

    settings = load_settings()
    configure_logging(settings)
    serde = AvroSerde(Registry(settings.registry_url))
    identities = index_now(settings, serde).identities
    waiting: dict[str, int] = {}
    for event in quarantined_now(settings, serde):
        waiting[event.name] = waiting.get(event.name, 0) + 1
    names = names_of(identities, wanted) or [name for name in sorted(waiting) if wanted in (name, name.split(":")[-1])]
    if not names:
        raise UserError(f"Nothing is known of {wanted}: no account, no claim and no event in quarantine names it.")
    told = [explain(identities, name) for name in names]
    if as_json:
        rows = [{**one.json(), "waiting": waiting.get(one.identity, 0)} for one in told]
        click.echo(json.dumps(rows, indent=1))
        return
    for explained in told:
        decision = explained.decision
        if decision.account is not None:
            click.echo(f"{explained.identity} is account {decision.account}, by {decision.evidence}.")
        elif decision.rivals:
            click.echo(
                f"{explained.identity} is nobody: claims by {decision.evidence} name {len(decision.rivals)} accounts."
            )
        else:
            click.echo(f"{explained.identity} is nobody: no claim names a known account.")
        for claim, effect in explained.claims:
            means = f"{claim.identity} = {claim.account_ref}"
            who = f"{claim.stream}, {claim.by}" if claim.by else claim.stream
            click.echo(f"  {claim.evidence:11} {means}  ({who}, since {claim.valid_from:%Y-%m-%d %H:%M}): {effect}")
        for alias in explained.merges:
            click.echo(f"  merged into {alias.surviving} ({alias.surviving_id}) on {alias.valid_from:%Y-%m-%d %H:%M}")
        for alias in explained.merged_in:
            click.echo(f"  took in {alias.identity} ({alias.account_id}) on {alias.valid_from:%Y-%m-%d %H:%M}")
        if waiting.get(explained.identity):
            click.echo(f"  {waiting[explained.identity]:,} events wait in quarantine.")


commands = [group]

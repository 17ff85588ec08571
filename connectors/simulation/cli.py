"""`vitals simulate`: the vendors' simulators in one process.

The modules that do the work are imported by the command: this module is imported by every `vitals` process.
"""

from pathlib import Path

import click


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder that holds git_usage/events.csv.gz.")
@click.option("--world", "generated_world", is_flag=True, help="Serve the generated world instead of data.")
@click.option("--seed", default=1, show_default=True, help="Seed of the generated world.")
@click.option(
    "--accounts",
    default=300,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Accounts of the generated world.",
)
@click.option(
    "--history-days",
    default=365,
    show_default=True,
    type=click.IntRange(60, 3_650),
    help="Days that the generated world has behind it.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    envvar="VITALS_SIMULATORS_PORT",
    default=8070,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on.",
)
@click.option("--start", help="Source time to start from, ISO 8601; default: where the world's history ends.")
@click.option("--speed", default=60.0, show_default=True, help="Source seconds for each wall second.")
@click.option("--rate-limits/--no-rate-limits", default=False, help="Enforce the vendors' documented limits.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder that survives a restart.")
@click.option(
    "--webhooks",
    envvar="VITALS_SIMULATED_WEBHOOKS",
    default="",
    help="Address of a `vitals collect` to send the vendors' webhooks to.",
)
@click.option("--vendors", default="", help="Vendors to serve, comma separated; default: all.")
def simulate(
    data: Path | None,
    generated_world: bool,
    seed: int,
    accounts: int,
    history_days: int,
    host: str,
    port: int,
    start: str | None,
    speed: float,
    rate_limits: bool,
    state: Path | None,
    webhooks: str,
    vendors: str,
) -> None:
    """Serves simulated vendors under one address.

    Each is mounted below its name, such as /zendesk; /_sim/clock tells the source time. Source time goes on from where
    an earlier run with the same state folder stopped.
    """
    from connectors.simulation.process import Serving, serve

    serve(
        Serving(
            data=data,
            generated_world=generated_world,
            seed=seed,
            accounts=accounts,
            history_days=history_days,
            host=host,
            port=port,
            start=start,
            speed=speed,
            rate_limits=rate_limits,
            state=state,
            vendors=tuple(name.strip() for name in vendors.split(",") if name.strip()),
            webhooks=webhooks,
        )
    )


commands: list[click.Command] = [simulate]

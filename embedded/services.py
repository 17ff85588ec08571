"""The application services that `vitals up` runs on top of the infrastructure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.simulation import git_usage
from connectors.simulation.calendar import epoch
from connectors.simulation.generated import ACCOUNTS
from embedded.endpoints import Endpoints
from embedded.service_spec import ServiceSpec
from vitals.errors import UserError


def pipeline_figures_of(endpoints: Endpoints) -> dict[str, object]:
    """What the pipeline itself has to say: counts, lag, freshness (for `vitals status`)."""
    from api.pipeline_figures import pipeline_figures
    from embedded.worker_lag import worker_lags

    return dict(pipeline_figures(endpoints.postgres_dsn)) | {"lag": worker_lags(endpoints.ports)}


pipeline_status: Callable[[Endpoints], dict[str, object]] | None = pipeline_figures_of


@dataclass(frozen=True)
class UpOptions:
    """What the user asked of `vitals up`.

    `data` is a folder of real data to serve; without it the simulators serve a generated world of `accounts` accounts.
    `speed` is how many source seconds pass in a wall second; `start` the source time to begin at (ISO 8601).
    """

    data: Path | None = None
    speed: float = 60.0
    start: str | None = None
    accounts: int = ACCOUNTS


def services(options: UpOptions) -> list[ServiceSpec]:
    """The services to run for these options, in any order: their `depends_on` decides when each one starts.

    Raises:
        UserError: the data cannot be served, for example because a column is missing, or the start is no instant.
    """
    if options.start is not None:
        try:
            epoch(options.start)
        except ValueError as error:
            raise UserError(
                f"--start {options.start} is not an instant in ISO 8601, such as 2023-12-01T00:00:00Z."
            ) from error
    if options.data is not None:
        if options.accounts != ACCOUNTS:
            raise UserError("--accounts is of the generated company: leave out either it or --data.")
        git_usage.load(options.data)
    simulate = ["vitals", "simulate", "--speed", str(options.speed)]
    simulate += (
        ["--world", "--accounts", str(options.accounts)]
        if options.data is None
        else ["--data", str(options.data.absolute())]
    )
    simulate += [] if options.start is None else ["--start", options.start]
    ready = ("bootstrap",)
    return [
        ServiceSpec(
            "bootstrap",
            ("vitals", "bootstrap"),
            run_once=True,
            env=_bootstrap_environment,
        ),
        ServiceSpec(
            "simulators",
            tuple(simulate),
            ports=("simulators",),
            depends_on=(),
            health_port="simulators",
            env=_simulators_environment,
        ),
        ServiceSpec("connect", ("vitals", "connect"), depends_on=(*ready, "simulators"), env=_demo_environment),
        ServiceSpec(
            "collect",
            ("vitals", "collect"),
            ports=("collect",),
            depends_on=(*ready, "simulators"),
            env=_demo_environment,
        ),
        ServiceSpec("rollup", ("vitals", "rollup"), depends_on=ready),
        ServiceSpec("quality", ("vitals", "quality", "run"), depends_on=ready),
        ServiceSpec("scoring", ("vitals", "scoring"), depends_on=ready),
        ServiceSpec("sink-timescale", ("vitals", "sink", "timescale"), depends_on=ready),
        ServiceSpec("sink-redis", ("vitals", "sink", "redis"), depends_on=ready),
        ServiceSpec("api", ("vitals", "api"), ports=("api",), depends_on=ready),
    ]


def command_environment(endpoints: Endpoints) -> dict[str, str]:
    """The settings with which a `vitals` command in a shell works on this stack as its services do."""
    return endpoints.environment() | (
        dict(_bootstrap_environment(endpoints)) if "simulators" in endpoints.ports else {}
    )


def _bootstrap_environment(endpoints: Endpoints) -> Mapping[str, str]:
    """The one-time link that bootstrap makes leads to the API's own address."""
    api = endpoints.ports.get("api")
    public = {} if api is None else {"VITALS_PUBLIC_URL": f"http://127.0.0.1:{api}"}
    return {**_demo_environment(endpoints), **public}


def _simulators_environment(endpoints: Endpoints) -> Mapping[str, str]:
    """Where the clock survives, and where the vendors' webhooks go."""
    collect = endpoints.ports.get("collect")
    webhooks = {} if collect is None else {"VITALS_SIMULATED_WEBHOOKS": f"http://127.0.0.1:{collect}"}
    return {"VITALS_STATE_DIR": str(endpoints.state_dir), **webhooks}


def _demo_environment(endpoints: Endpoints) -> Mapping[str, str]:
    """Connectors read the simulators, whose clock is the deployment's source clock; no vendor pace holds a demo up."""
    simulators = f"http://127.0.0.1:{endpoints.ports['simulators']}"
    return {
        "VITALS_SIMULATOR_URL": simulators,
        "VITALS_SOURCE_CLOCK_URL": f"{simulators}/_sim/clock",
        "VITALS_VENDOR_PACING": "false",
        "VITALS_POLL_INTERVAL_SECONDS": "0.5",
        "VITALS_PSEUDONYM_KEY": _pseudonym_key(endpoints),
    }


def _pseudonym_key(endpoints: Endpoints) -> str:
    from embedded.state_folder import StateFolder

    return StateFolder(endpoints.state_dir).secret("pseudonym-key")

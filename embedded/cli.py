"""The commands `up`, `status`, `env`, `down` and `logs`.

The modules that do the work are imported by each command: this module is imported by every `vitals` process.
"""

import json
import shlex
import sys
from pathlib import Path

import click

from embedded.state_folder import StateFolder, default_state_path
from vitals.errors import UserError

NOT_RUNNING_EXIT_CODE = 3


def _state(path: Path | None) -> StateFolder:
    return StateFolder(path or default_state_path())


state_option = click.option(
    "--state",
    "state_path",
    type=click.Path(path_type=Path, file_okay=True),
    help="Folder of everything this installation keeps (default: VITALS_STATE_DIR, else .vitals).",
)


@click.command("up")
@click.option("--detach", is_flag=True, help="Run in the background; return when all is ready.")
@state_option
@click.option("--fresh", is_flag=True, help="Delete the state folder first.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of source data to load.")
@click.option(
    "--accounts",
    default=300,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Accounts of the generated company, where there is no --data.",
)
@click.option("--port", "ports", multiple=True, metavar="NAME=N", help="Use this port for NAME; may be repeated.")
@click.option("--no-services", is_flag=True, help="Start the infrastructure only, to run services by hand.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Source seconds a wall second.",
)
@click.option("--start", metavar="INSTANT", help="Source time to begin at (ISO 8601); default: where history ends.")
def up(
    detach: bool,
    state_path: Path | None,
    fresh: bool,
    data: Path | None,
    accounts: int,
    ports: tuple[str, ...],
    no_services: bool,
    speed: float,
    start: str | None,
) -> None:
    """Start Kafka, the schema registry, PostgreSQL, Valkey and all services on this machine."""
    from rich.console import Console

    from embedded.detached import start_detached
    from embedded.foreground import Foreground
    from embedded.ports import parse_forced_ports
    from embedded.services import UpOptions, services
    from embedded.stack import Stack, fetch_downloads

    state, forced = _state(state_path), parse_forced_ports(ports)
    if data is not None and not data.is_dir():
        raise UserError(f"--data {data} is not a folder.")
    if fresh:
        state.remove()
    console = Console(highlight=False)
    state.create()
    chosen = [] if no_services else services(UpOptions(data=data, speed=speed, start=start, accounts=accounts))
    if not detach:
        foreground = Foreground(console)
        foreground.run(Stack(state.path, chosen, forced_ports=forced, on_change=foreground.on_change))
        return
    state.acquire().close()  # says so if it is running already
    fetch_downloads()  # here, where its progress can be seen
    console.print("Starting Vitals …")
    arguments = ["--state", str(state.path), "--speed", str(speed)]
    arguments += ["--accounts", str(accounts)]
    arguments += ["--no-services"] if no_services else []
    arguments += ["--start", start] if start is not None else []
    arguments += ["--data", str(data.absolute())] if data is not None else []
    arguments += [text for value in ports for text in ("--port", value)]
    start_detached(state, arguments, console)


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@state_option
def status(as_json: bool, state_path: Path | None) -> None:
    """Show what runs. Exit status 3 when nothing does."""
    from rich.console import Console

    from embedded import services
    from embedded.display import figures_table, kinds_table, status_table
    from embedded.endpoints import Endpoints
    from embedded.status import read_status

    state = _state(state_path)
    pid = state.running_pid()
    document = read_status(state) if pid is not None else {"services": []}
    pipeline: dict[str, object] = {}
    if services.pipeline_status is not None and document.get("ports"):
        try:
            pipeline = services.pipeline_status(Endpoints.of(state, document["ports"]))
        except Exception as error:  # noqa: BLE001  # whatever ails the pipeline, the parts must still be shown
            pipeline = {"error": f"{type(error).__name__}: {error}".strip()}
    if as_json:
        state_now = document.get("state", "starting") if pid is not None else "not running"
        click.echo(json.dumps({"state": state_now, "pid": pid, **_public(document), "pipeline": pipeline}, indent=1))
    elif pid is None:
        click.echo(f"Vitals is not running on {state.path}: `vitals up` starts it.", err=True)
    else:
        console = Console(highlight=False)
        console.print(f"Vitals is {document.get('state', 'starting')} on {state.path} (pid {pid}).", soft_wrap=True)
        console.print(status_table(document["services"]))
        by_kind = pipeline.pop("by_kind", None)
        if pipeline:
            console.print(figures_table(pipeline))
        if isinstance(by_kind, list) and by_kind:
            Console(highlight=False, width=max(console.width, 96)).print(kinds_table(by_kind))
    if pid is None:
        sys.exit(NOT_RUNNING_EXIT_CODE)


def _public(document: dict[str, object]) -> dict[str, object]:
    return {name: document[name] for name in ("services", "ports") if name in document}


@click.command("env")
@state_option
def env(state_path: Path | None) -> None:
    """Print the settings of the running stack for a shell: eval "$(vitals env)".

    Commands such as `vitals import` and `vitals users` then work on it. The output holds passwords.
    """
    from embedded.endpoints import Endpoints
    from embedded.services import command_environment
    from embedded.status import read_status

    state = _state(state_path)
    if state.running_pid() is None:
        raise UserError(f"Vitals is not running on {state.path}: `vitals up` starts it.")
    for name, value in command_environment(Endpoints.of(state, read_status(state)["ports"])).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@click.command("down")
@state_option
@click.option("--timeout", type=click.FloatRange(min=1), default=60.0, help="Seconds to wait before killing it.")
def down(state_path: Path | None, timeout: float) -> None:
    """Stop what `up` started."""
    from embedded.detached import stop_running

    state = _state(state_path)
    ended = stop_running(state, timeout)
    if ended is None:
        click.echo(f"Vitals is not running on {state.path}.")
    elif ended:
        click.echo("Vitals has stopped.")
    else:
        click.echo(f"Vitals did not stop within {timeout:g} s and was killed; its data are safe.", err=True)


@click.command("logs")
@click.argument("name")
@click.option("-f", "--follow", "following", is_flag=True, help="Keep printing what is added.")
@click.option("-n", "--lines", type=click.IntRange(min=0), default=50, help="How many lines of the past to print.")
@state_option
def logs(name: str, following: bool, lines: int, state_path: Path | None) -> None:
    """Print the log of one part, such as kafka, or of the supervisor."""
    from embedded.follow import follow
    from embedded.stack import log_tail

    state = _state(state_path)
    path = state.log_file(name)
    known = sorted(log.stem for log in state.logs.glob("*.log"))
    if name not in known:
        there_is = f"there are {', '.join(known)}" if known else f"nothing has run on {state.path} yet"
        raise UserError(f"There is no log of {name}: {there_is}.")
    if lines:
        click.echo(log_tail(path, lines))
    if following:
        for text in follow(path):
            click.echo(text, nl=False)


commands: list[click.Command] = [up, status, env, down, logs]

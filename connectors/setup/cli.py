"""`vitals connectors`: what is set up, whether it works, setting it up, running it by hand, starting a new one.

The modules that do the work are imported by each command: this module is imported by every `vitals` process.
"""

import click


@click.group("connectors")
def group() -> None:
    """Sets connectors up, checks them, and shows what they do. `vitals connect` is the process that runs them."""


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_connectors(as_json: bool) -> None:
    """Shows every connector: enabled or not, what its settings lack, its streams, how far it is.

    Without Kafka it shows what there is to show without it.
    """
    import json

    from connectors.setup.display import console, listing
    from connectors.setup.observing import observe, unobserved
    from connectors.setup.overview import connector_views
    from vitals.errors import RetriableError, UserError
    from vitals.settings import load_settings

    settings = load_settings()
    try:
        observed = observe(settings)
    except (UserError, RetriableError) as error:
        click.echo(f"vitals: how far they are is not known: {error}", err=True)
        observed = unobserved()
    views = connector_views(settings, observed)
    if as_json:
        click.echo(json.dumps([view.json() for view in views], indent=1))
    else:
        console().print(listing(views))


@group.command("status")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(name: str | None, as_json: bool) -> None:
    """Shows each stream of connector NAME, or of every enabled one: how far it is, what it counted, what it does."""
    import json

    from connectors.setup.display import console, statuses
    from connectors.setup.observing import observe
    from connectors.setup.overview import connector_views
    from vitals.settings import load_settings

    settings = load_settings()
    views = connector_views(settings, observe(settings), () if name is None else (name,))
    shown = [view for view in views if name is not None or view.enabled]
    if as_json:
        click.echo(json.dumps([stream.json() for view in shown for stream in view.streams], indent=1))
    else:
        console().print(statuses(shown))


@group.command("check")
@click.argument("name")
@click.pass_context
def check(context: click.Context, name: str) -> None:
    """Checks connector NAME against its vendor; nothing else needs to run, nothing is written.

    Settings, address, clock, credentials, one cheap request for each kind of object, and what is left of the vendor's
    rate limit. Exit status 1 where something is wrong.
    """
    from connectors.catalogue import require_connectors
    from vitals.settings import load_settings

    if not _checked(require_connectors((name,))[name], load_settings()):
        context.exit(1)


@group.command("add")
@click.argument("name")
@click.option("--set", "pairs", multiple=True, metavar="NAME=VALUE", help="A setting; asks for none then.")
@click.option("--secret-file", "files", multiple=True, metavar="NAME=PATH", help="A secret, read from a file.")
@click.option("--no-check", is_flag=True, help="Write the settings without asking the vendor.")
@click.pass_context
def add(context: click.Context, name: str, pairs: tuple[str, ...], files: tuple[str, ...], no_check: bool) -> None:
    """Sets connector NAME up: asks for its settings, checks them, writes them, enables it.

    Secrets become files of mode 0600 in VITALS_SECRETS_DIR (default: secrets in the state folder), everything else goes
    to the settings file (settings.yaml in the state folder). NAME in --set is a variable, such as VITALS_ZENDESK_URL,
    or its end, such as url. A secret given with --set stays in the shell's history: prefer --secret-file.
    """
    import os

    from connectors.catalogue import require_connectors
    from connectors.setup.adding import enable, given_of, incomplete, try_out
    from vitals.settings import load_settings

    module = require_connectors((name,))[name]
    environment = dict(os.environ)
    given = given_of(module, pairs, files)
    if not pairs and not files:
        _ask(module, given)
    try_out(given)
    settings = load_settings()
    if settings.simulator_url:
        click.echo("VITALS_SIMULATOR_URL is set: connectors read the simulators, and the check does too.", err=True)
    if not no_check and not _checked(module, settings):
        click.echo("Nothing was written. Mend what failed, or add it with --no-check.", err=True)
        context.exit(1)
    written = enable(module, given, settings, environment)
    click.echo(f"{name} is enabled: settings in {written.settings}, {len(written.secrets)} secrets as files beside.")
    if written.overridden:
        click.echo(f"The environment comes first and sets {', '.join(written.overridden)}: change it there.", err=True)
    lacking = incomplete(load_settings())
    if lacking:
        click.echo(
            f"`vitals connect` does not start while settings of {', '.join(lacking)} are not complete: "
            "add or remove each of them.",
            err=True,
        )
    click.echo("`vitals bootstrap` registers its streams; then start `vitals connect` again.")


@group.command("remove")
@click.argument("name")
@click.option("--retire", "retiring", is_flag=True, help="Also end its streams' hold on the watermark (needs Kafka).")
def remove(name: str, retiring: bool) -> None:
    """Disables connector NAME and deletes its settings and secrets from the files. What it brought stays.

    Its streams stay registered, so nothing seals on their topics until they run again: for good, remove it with
    --retire once `vitals connect` runs without it.
    """
    import os

    from connectors.catalogue import require_connectors
    from connectors.setup.adding import disable
    from vitals.settings import load_settings

    module = require_connectors((name,))[name]
    settings = load_settings()
    changed = disable(module, settings, os.environ)
    click.echo(f"{name} is disabled; start `vitals connect` again." if changed else f"{name} was not set up.")
    if retiring:
        from connectors.setup.retiring import retire

        click.echo(f"Retired: {', '.join(retire(name, settings))}.")


@group.command("sync")
@click.argument("name")
@click.argument("streams", nargs=-1, metavar="[STREAM]...")
@click.option("--once", is_flag=True, help="Fetch one page of each stream only, for a trial.")
def sync_streams(name: str, streams: tuple[str, ...], once: bool) -> None:
    """Runs connector NAME in the foreground until it has caught up, with progress and an estimate.

    Everything is committed page by page: Ctrl-C ends cleanly, and the same command goes on from there. A stream that
    `vitals connect` runs is refused; pause it first.
    """
    from connectors.setup.syncing import sync
    from vitals.settings import load_settings
    from vitals.telemetry import configure_logging

    settings = load_settings()
    configure_logging(settings.model_copy(update={"log_level": "ERROR", "log_format": "console"}))
    sync(name, streams, settings, once=once)


@group.command("pause")
@click.argument("name")
@click.argument("streams", nargs=-1, metavar="[STREAM]...")
def pause(name: str, streams: tuple[str, ...]) -> None:
    """Has connector NAME, or some of its streams, fetch nothing until `resume`; restarts change nothing about it.

    A paused stream holds the watermark of its topics: nothing seals there, signals of them turn stale, and what was
    scored meanwhile stays provisional until the stream has caught up.
    """
    click.echo(_ordered(name, streams, paused=True))


@group.command("resume")
@click.argument("name")
@click.argument("streams", nargs=-1, metavar="[STREAM]...")
def resume(name: str, streams: tuple[str, ...]) -> None:
    """Ends a pause of connector NAME, or of some of its streams: they go on where they stopped."""
    click.echo(_ordered(name, streams, paused=False))


def _ordered(name: str, chosen: tuple[str, ...], *, paused: bool) -> str:
    from connectors.orders import order
    from connectors.setup.streams import polled_streams
    from vitals.avro import AvroSerde, Registry
    from vitals.clock import WallClock
    from vitals.settings import load_settings

    settings = load_settings()
    streams = polled_streams(name, chosen, settings)
    order(
        settings, AvroSerde(Registry(settings.registry_url)), WallClock(), dict.fromkeys(streams, name), paused=paused
    )
    if paused:
        return (
            f"Paused: {', '.join(streams)}. They hold the watermark of their topics until `vitals connectors resume`."
        )
    return f"Resumed: {', '.join(streams)}."


@group.command("new")
@click.argument("name")
@click.option("--display", help="The vendor's name as it is written; default: NAME with a capital.")
@click.option("--domain", default="support", show_default=True, help="Domain of its events: product, crm, …")
def new(name: str, display: str | None, domain: str) -> None:
    """Writes the folder of a new connector NAME for a JSON API with a cursor, with a simulator, and its reference page.

    The contract tests pass for it at once; docs/connectors.md says what to make of it.
    """
    import importlib

    from connectors.setup.reference import write_pages
    from connectors.setup.scaffold import scaffold

    files = scaffold(name, display, domain)
    importlib.invalidate_caches()
    click.echo(f"{files[0].parent} is written, {len(files)} files. Its tests pass; run them with every change:")
    for path in write_pages():
        click.echo(f"  {path} is written")
    click.echo(f"  pytest tests/connectors -k {name}")


@group.command("reference")
@click.option("--write", is_flag=True, help="Renew the pages in docs/connectors/.")
def reference(write: bool) -> None:
    """Prints the connectors' pages of reference, made from their code."""
    from connectors.setup.reference import pages, write_pages

    if write:
        for path in write_pages():
            click.echo(f"{path} is renewed")
    else:
        click.echo("\n".join(pages().values()), nl=False)


def _checked(module: object, settings: object) -> bool:
    """Prints each step as it is taken; whether all are well."""
    from types import ModuleType

    from connectors.setup.checking import check_connector
    from connectors.setup.display import step_line
    from connectors.setup.observing import source_clock
    from vitals.settings import Settings

    assert isinstance(module, ModuleType)
    assert isinstance(settings, Settings)
    well = True
    for step in check_connector(module, settings, source_clock(settings)):
        click.echo(step_line(step))
        well = well and step.problem is None
    return well


def _ask(module: object, given: object) -> None:
    """Asks for every setting; an empty answer keeps what is in force."""
    from types import ModuleType

    from pydantic import SecretStr

    from connectors.setup.adding import Given, asked_of

    assert isinstance(module, ModuleType)
    assert isinstance(given, Given)
    for one in asked_of(module):
        click.echo(f"{one.description} ({one.variable})")
        if one.secret:
            kept = " (empty: as it is)" if one.default else ""
            text = click.prompt(f"  secret{kept}", default="", hide_input=True, show_default=False)
            if text:
                given.secrets[one.variable] = SecretStr(text)
            continue
        text = click.prompt("  value", default=one.default or "", show_default=bool(one.default))
        if text != (one.default or ""):
            given.plain[one.variable] = text


commands = [group]

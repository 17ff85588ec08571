"""`vitals dead-letters`: what could not be read, why, and again after it was mended.

The modules that do the work are imported by each command: this module is imported by every `vitals` process.
"""

import click


@click.group("dead-letters")
def group() -> None:
    """Shows what could not be read or mapped, and drives it again. A letter's id is its position, such as 3/17."""


@group.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Most letters shown.")
@click.option("--repaired", "with_repaired", is_flag=True, help="Also those that were repaired.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--source", help="Only those of this connector or worker, such as zendesk or rollup.")
@click.option("--topic", help="Only those that came from this topic, such as events.crm, or this stream.")
@click.option("--class", "error_class", help="Only those of this class of error, such as BadRecordError.")
@click.option("--since", metavar="TIME", help="Only those set aside since this time: ISO 8601, UTC.")
def list_letters(
    limit: int,
    with_repaired: bool,
    as_json: bool,
    source: str | None,
    topic: str | None,
    error_class: str | None,
    since: str | None,
) -> None:
    """Shows the open dead letters, the newest first."""
    import json

    from connectors.dead_letters.display import listing, wanted
    from connectors.dead_letters.letters import newest_first
    from connectors.dead_letters.reading import read_letters, read_repaired
    from connectors.setup.display import console
    from vitals.avro import AvroSerde, Registry
    from vitals.settings import load_settings

    settings = load_settings()
    chosen, repaired = wanted(source, topic, error_class, since), read_repaired(settings)
    letters = newest_first(
        read_letters(settings, AvroSerde(Registry(settings.registry_url))),
        lambda letter: chosen(letter) and (with_repaired or str(letter.position) not in repaired),
        limit,
    )
    if as_json:
        shown = [{**letter.json(), "repaired": str(letter.position) in repaired} for letter in letters]
        click.echo(json.dumps(shown, indent=1))
    else:
        console().print(listing(letters, repaired))


@group.command("show")
@click.argument("position")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(position: str, as_json: bool) -> None:
    """Shows the dead letter at POSITION: where it came from, what was wrong, what can be done, and its original."""
    import json

    from connectors.dead_letters.display import described
    from connectors.dead_letters.letters import Position
    from connectors.dead_letters.reading import letter_at, read_repaired
    from vitals.avro import AvroSerde, Registry
    from vitals.settings import load_settings

    settings = load_settings()
    letter = letter_at(settings, AvroSerde(Registry(settings.registry_url)), Position.parse(position))
    repaired = str(letter.position) in read_repaired(settings)
    if as_json:
        click.echo(json.dumps({**letter.json(whole=True), "repaired": repaired}, indent=1))
    else:
        click.echo(described(letter, repaired=repaired))


@group.command("fix")
@click.argument("position")
@click.option("--file", "file", type=click.File("rb"), help="The corrected original; - reads standard input.")
def fix(position: str, file: click.utils.LazyFile | None) -> None:
    """Corrects the original of the dead letter at POSITION, in your editor or from --file, and has its stream map it.

    The corrected object counts as what the vendor says now. Its events have the ids that they would have had, so that
    what is known already does not count twice, and a letter is repaired once only.
    """
    from typing import cast

    from connectors.dead_letters.letters import Position, original_text
    from connectors.dead_letters.mending import send
    from connectors.dead_letters.owners import repair_of
    from connectors.dead_letters.reading import letter_at, read_repaired
    from vitals.avro import AvroSerde, Registry
    from vitals.errors import UserError
    from vitals.settings import load_settings

    settings = load_settings()
    serde = AvroSerde(Registry(settings.registry_url))
    letter = letter_at(settings, serde, Position.parse(position))
    if position in read_repaired(settings):
        raise UserError(f"{position} is repaired already, and a letter is repaired once only.")
    repair_of(letter)
    if file is not None:
        corrected = cast(bytes, file.read())
    else:
        edited = click.edit(original_text(letter.record["original"]), extension=".json", require_save=True)
        if edited is None:
            raise UserError("Nothing was changed or sent: `vitals dead-letters replay` takes it as it is.")
        corrected = edited.encode()
    click.echo(send(settings, serde, [repair_of(letter, corrected.rstrip(b"\n"))]))


@group.command("replay")
@click.argument("positions", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every open letter of a stream that the filters meet.")
@click.option("--source", help="With --all: only those of this connector, such as zendesk.")
@click.option("--topic", help="With --all: only those of this stream, such as zendesk.tickets.")
@click.option("--class", "error_class", help="With --all: only those of this class of error.")
@click.option("--since", metavar="TIME", help="With --all: only those set aside since this time: ISO 8601, UTC.")
def replay(
    positions: tuple[str, ...],
    everything: bool,
    source: str | None,
    topic: str | None,
    error_class: str | None,
    since: str | None,
) -> None:
    """Has the dead letters at POSITIONS mapped again as they are, after a fix of the code; each once only."""
    from connectors.dead_letters.display import wanted
    from connectors.dead_letters.letters import Position
    from connectors.dead_letters.mending import replayed, send
    from connectors.dead_letters.owners import repair_of
    from connectors.dead_letters.reading import letter_at, read_letters, read_repaired
    from vitals.avro import AvroSerde, Registry
    from vitals.errors import UserError
    from vitals.settings import load_settings

    if bool(positions) == everything:
        raise UserError("Say which letters: their positions, or --all with filters.")
    settings = load_settings()
    serde = AvroSerde(Registry(settings.registry_url))
    repaired = read_repaired(settings)
    if everything:
        chosen = wanted(source, topic, error_class, since)
        repairs = replayed(read_letters(settings, serde), chosen, repaired)
    else:
        done = [position for position in positions if position in repaired]
        if done:
            raise UserError(f"{', '.join(done)} is repaired already, and a letter is repaired once only.")
        repairs = (repair_of(letter_at(settings, serde, Position.parse(one))) for one in positions)
    click.echo(send(settings, serde, repairs))


commands = [group]

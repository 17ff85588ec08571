"""Dead letters for the terminal."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from rich.table import Table

from connectors.dead_letters.letters import Letter, Wanted, original_text
from connectors.dead_letters.owners import advice
from connectors.setup.display import table
from vitals.errors import UserError


def wanted(source: str | None, topic: str | None, error_class: str | None, since: str | None) -> Wanted:
    """The filter of a command's options.

    Raises:
        UserError: `since` is not an instant.
    """
    try:
        moment = None if since is None else datetime.fromisoformat(since)
    except ValueError as error:
        raise UserError(f"--since {since} is not a time in ISO 8601, such as 2026-11-20T08:00:00Z.") from error
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return Wanted(source, topic, error_class, moment)


def listing(letters: Iterable[Letter], repaired: Collection[str]) -> Table:
    """A row a letter."""
    made = table("position", "set aside", "by", "origin", "class", "what was wrong")
    for letter in letters:
        mended = "repaired: " if str(letter.position) in repaired else ""
        made.add_row(
            str(letter.position),
            f"{letter.set_aside_at:%Y-%m-%d %H:%M:%S}",
            str(letter.record["source"]),
            str(letter.record["origin"]),
            str(letter.record["error_class"]),
            mended + str(letter.record["message"]),
        )
    return made


def described(letter: Letter, *, repaired: bool) -> str:
    """Everything about one letter."""
    record = letter.record
    facts = {
        "position": letter.position,
        "set aside": f"{letter.set_aside_at:%Y-%m-%d %H:%M:%S} UTC by {record['source']} ({record['stage']})",
        "origin": record["origin"],
        "attempt": record["attempt"],
        "event": record["event_id"],
        "kind": record["kind"],
        "account": record["account_ref"],
        "error": f"{record['error_class']}: {record['message']}",
        "what to do": advice(letter, repaired=repaired),
    }
    lines = [f"{name + ':':<12}{value}" for name, value in facts.items() if value is not None]
    return "\n".join([*lines, f"original ({len(record['original'])} bytes):", original_text(record["original"])])

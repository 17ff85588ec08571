"""`vitals health`."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from analytics.health.ledger import Ledger
    from analytics.health.model import HealthModel

MICRO = 1_000_000
DAY_SECONDS = 86_400

MODEL_HELP = "a file, or the version of a model that scores were published with"


@click.group("health")
def health() -> None:
    """Health models: check and show them, explain a score, and why it moved."""


@health.command("lint")
@click.argument("files", nargs=-1, metavar="[FILE.yaml]…")
def lint(files: tuple[str, ...]) -> None:
    """Checks health models; without a FILE all that come with Vitals.

    Prints every mistake as FILE:LINE:COLUMN: PLACE: what is wrong, and ends with status 1 where there is any.
    """
    from metrics.catalogue import catalogue
    from models.linting import lint as findings_of
    from models.loader import MODELS
    from vitals.errors import UserError

    grains = {metric.name: tuple(metric.grains) for metric in catalogue()}
    mistakes = 0
    for name in files or [str(path) for path in sorted(MODELS.glob("*.yaml"))]:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{name} cannot be read: {error}") from error
        found = findings_of(text, grains)
        mistakes += len(found)
        for one in found:
            click.echo(f"{name}:{one.line}:{one.column}: {one.place}: {one.message}.")
        if not found:
            click.echo(f"{name}: valid")
    sys.exit(1 if mistakes else 0)


@health.command("show")
@click.argument("file", required=False, metavar="[FILE.yaml]")
def show(file: str | None) -> None:
    """Shows a health model: its signals with their shares and curves, bands and segments. Default: the newest."""
    from models.loader import read_model
    from models.showing import model_table

    click.echo(model_table(read_model(None if file is None else Path(file))))


@health.command("compare")
@click.argument("first", metavar="MODEL_A")
@click.argument("second", metavar="MODEL_B")
@click.option(
    "--at", "instant", type=click.DateTime(["%Y-%m-%d"]), help="Midnight UTC of this day. Default: the newest."
)
@click.option("--most", default=10, show_default=True, type=click.IntRange(0), help="Accounts to show.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def compare(first: str, second: str, instant: datetime | None, most: int, as_json: bool) -> None:
    """Scores every account with two models: who changes band, who moves most and by which signals.

    MODEL_A and MODEL_B are files, or versions of models that scores were published with.
    """
    from models.comparing import compare as compared
    from models.store_values import connect, stored_values
    from vitals.settings import load_settings

    with connect(load_settings()) as connection:
        models = [_model(connection, named) for named in (first, second)]
        stored = stored_values(connection, models, None)
    tick = _tick(instant, stored.days.origin + _columns(stored.days))
    result = compared(stored.days, models[0], models[1], tick)
    ids = [str(account_id) for account_id in stored.account_ids]
    moves = result.ledger.after.score - result.ledger.before.score
    order = sorted(range(len(ids)), key=lambda row: -abs(int(moves[row])))[:most]
    told: dict[str, Any] = {
        "at": _day(tick),
        "models": [model.version for model in models],
        "rank_correlation": None if result.rank_correlation != result.rank_correlation else result.rank_correlation,
        "bands": [{"first": a, "second": b, "accounts": count} for (a, b), count in sorted(result.bands.items())],
        "moves": [{"account_id": ids[row], **_moved(result.ledger, row)} for row in order if result.ledger.moved[row]],
    }
    if as_json:
        click.echo(json.dumps(told, indent=1))
        return
    click.echo(
        f"{models[0].version} and {models[1].version} at {_day(tick)}, rank correlation {told['rank_correlation']}"
    )
    for each in told["bands"]:
        click.echo(f"  {each['first']:>8} -> {each['second']:<8} {each['accounts']:>7,}")
    for each in told["moves"]:
        click.echo(f"  {each['account_id']}  {each['before']:.2f} -> {each['after']:.2f}  {_largest(each['signals'])}")


@health.command("ledger")
@click.argument("account")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), required=True, help="First day (its midnight UTC).")
@click.option("--to", "second", type=click.DateTime(["%Y-%m-%d"]), required=True, help="Second day (its midnight UTC).")
@click.option("--from-model", help=f"Model of the first day: {MODEL_HELP}. Default: the newest.")
@click.option("--to-model", help="Model of the second day, likewise.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show_ledger(
    account: str, first: datetime, second: datetime, from_model: str | None, to_model: str | None, as_json: bool
) -> None:
    """Why the score of ACCOUNT (an id, CRM id or name) moved between two days: behaviour, model, data, time.

    The four causes sum exactly to the movement, by signal too. Time is what the score would have done had nothing
    happened in between.
    """
    from analytics.health.ledger import CAUSES, End, ledger
    from models.store_values import account_named, connect, stored_values
    from vitals.errors import UserError
    from vitals.settings import load_settings

    if second < first:
        raise UserError("--to is before --from.")
    with connect(load_settings()) as connection:
        account_id, name = account_named(connection, account)
        models = [_model(connection, named) for named in (from_model, to_model)]
        stored = stored_values(connection, models, account_id)
    if not stored.account_ids:
        raise UserError(f"{name} has no day values yet, and so no score.")
    ticks = [_tick(each, 0) for each in (first, second)]
    found = ledger(stored.days, End(ticks[0], models[0]), End(ticks[1], models[1]))
    told: dict[str, Any] = {"account_id": str(account_id), "name": name, "from": _day(ticks[0]), "to": _day(ticks[1])}
    told |= _moved(found, 0)
    if as_json:
        click.echo(json.dumps(told, indent=1))
        return
    if not found.moved[0]:
        click.echo(f"{name} has no score at one of these days, so it did not move.")
        return
    click.echo(f"{name}: {told['before']:.2f} at {told['from']} -> {told['after']:.2f} at {told['to']}")
    click.echo(f"  {'signal':<24}" + "".join(f"{cause.replace('_', ' '):>14}" for cause in CAUSES))
    for signal, causes in told["signals"].items():
        if any(causes.values()):
            click.echo(f"  {signal or 'overrides':<24}" + "".join(f"{causes[cause]:>14.2f}" for cause in CAUSES))
    click.echo(f"  {'sum':<24}" + "".join(f"{told['causes'][cause]:>14.2f}" for cause in CAUSES))


def _moved(found: "Ledger", row: int) -> dict[str, Any]:
    """One account's movement in points."""
    return {
        "before": int(found.before.score[row]) / MICRO if found.before.scored[row] else None,
        "after": int(found.after.score[row]) / MICRO if found.after.scored[row] else None,
        "causes": {cause: int(values[row]) / MICRO for cause, values in found.causes.items()},
        "signals": {
            name: {cause: int(values[row]) / MICRO for cause, values in causes.items()}
            for name, causes in found.by_signal.items()
        },
    }


def _largest(signals: dict[str, dict[str, float]]) -> str:
    sums = {name: sum(causes.values()) for name, causes in signals.items()}
    largest = sorted(sums, key=lambda name: -abs(sums[name]))[:3]
    return ", ".join(f"{name or 'overrides'} {sums[name]:+.2f}" for name in largest if sums[name])


def _model(connection: Any, named: str | None) -> "HealthModel":
    from models.loader import read_model
    from models.store_values import stored_model

    if named is not None and Path(named).is_file():
        return read_model(Path(named))
    return stored_model(connection, named)


def _tick(instant: datetime | None, newest: int) -> int:
    return newest if instant is None else int(instant.replace(tzinfo=UTC).timestamp()) // DAY_SECONDS


def _day(tick: int) -> str:
    return f"{datetime.fromtimestamp(tick * DAY_SECONDS, UTC):%Y-%m-%d}"


def _columns(days: Any) -> int:
    return max((values.shape[1] for values in (*days.summed.values(), *days.levels.values())), default=0)


commands = [health]

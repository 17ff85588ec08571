"""`vitals trends` and `vitals seasons`."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from batch.forecast.table import RegularSeries

_FILE = click.argument("file", metavar="FILE.csv")
_TIME = click.option("--timestamp-column", default="timestamp", show_default=True, help="Column of the time.")
_VALUE = click.option("--value-column", default="value", show_default=True, help="Column of the number.")
_SERIES = click.option("--series-column", help="Column that tells series apart, where the file has several.")
_PERIODS = click.option(
    "--period", "periods", type=click.IntRange(2), multiple=True, metavar="M",
    help="Length of a season to test, in steps; may be repeated. Default: what the step suggests (hours: 24, 168).",
)  # fmt: skip
_JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


@click.command("seasons")
@_FILE
@_TIME
@_VALUE
@_SERIES
@_PERIODS
@click.option("--country", metavar="CODE", help="Also what its public holidays do to a daily series, such as US or DE.")
@_JSON
def seasons(
    file: str,
    timestamp_column: str,
    value_column: str,
    series_column: str | None,
    periods: tuple[int, ...],
    country: str | None,
    as_json: bool,
) -> None:
    """Which seasons a series has, tested at one percent, how strong each is, and what holidays do.

    FILE.csv has a line of column names; `-` is standard input. Missing steps are filled, rows with one time averaged.
    """
    from batch.trends.measuring import seasons_of

    told = [seasons_of(one, periods, country) for one in _read(file, timestamp_column, value_column, series_column)]
    if as_json:
        click.echo(json.dumps(told, indent=1))
        return
    for each in told:
        click.echo(f"{each['series'] or file}: {each['values']:,} values, one every {each['step']}")
        for season in each["seasons"]:
            click.echo(f"  period {season['period']:>5}  strength {season['strength']:.2f}  p {season['p_value']:.1e}")
        if not each["seasons"]:
            click.echo("  no season")
        for one in each["holidays"][:10]:
            bounds = f"{one['lower']:+.0%} to {one['upper']:+.0%}"
            click.echo(f"  {one['name'] or 'all holidays':<40} {one['effect']:+.0%} ({bounds}), {one['days']} days")


@click.command("trends")
@_FILE
@_TIME
@_VALUE
@_SERIES
@_PERIODS
@click.option("--window", type=click.IntRange(3), default=28, show_default=True, help="Steps of the slope.")
@click.option("--components", metavar="FILE", help="Write trend, seasons and remainder of every value as CSV.")
@_JSON
def trends(
    file: str,
    timestamp_column: str,
    value_column: str,
    series_column: str | None,
    periods: tuple[int, ...],
    window: int,
    components: str | None,
    as_json: bool,
) -> None:
    """Where a series goes: its slope without season and the noise about it, and when its level changed.

    The arrow points up or down only where the slope is beyond its noise band. With --series-column, also which series
    the movement of the whole is made of, from the window before the newest to the newest.
    """
    from batch.trends.measuring import movement, trend_of, write_components

    series = _read(file, timestamp_column, value_column, series_column)
    told = [trend_of(one, periods, window) for one in series]
    parts = movement(series, window) if len(series) > 1 else []
    if components is not None:
        write_components(Path(components), series, periods)
    if as_json:
        click.echo(json.dumps({"series": told, "movement": parts}, indent=1))
        return
    for each in told:
        slope = each["slope"]
        line = (
            "too short"
            if slope is None
            else f"{slope['arrow']:<4} {slope['value']:+.4g} a step (noise {slope['band']:.2g})"
        )
        click.echo(f"{each['series'] or file}: {line}")
        for one in each["change_points"]:
            click.echo(f"  {one['at']}  {one['before']:.4g} -> {one['after']:.4g}  ({one['size']:+.1f} deviations)")
    if parts:
        click.echo(f"The newest {window} steps against the {window} before: {sum(one['change'] for one in parts):+.6g}")
        for one in parts[:10]:
            click.echo(f"  {one['series']:<40} {one['change']:+.6g}")


def _read(file: str, timestamp_column: str, value_column: str, series_column: str | None) -> list["RegularSeries"]:
    from batch.forecast.table import read_series
    from vitals.errors import UserError

    with ExitStack() as files:
        try:
            source: Any = sys.stdin
            if file != "-":
                source = files.enter_context(Path(file).open(newline="", encoding="utf-8-sig"))
            return read_series(source, timestamp_column, value_column, series_column)
        except OSError as error:
            raise UserError(f"{error.filename} cannot be opened: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{file} is not text in UTF-8: {error.reason}.") from error


commands = [seasons, trends]

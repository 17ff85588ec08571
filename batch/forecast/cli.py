"""`vitals forecast`."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

LARGEST_HORIZON = 10_000


@click.command("forecast")
@click.argument("file", metavar="FILE.csv")
@click.option("--horizon", type=click.IntRange(1, LARGEST_HORIZON), required=True, help="Steps to forecast.")
@click.option("--timestamp-column", default="timestamp", show_default=True, help="Column of the time.")
@click.option("--value-column", default="value", show_default=True, help="Column of the number.")
@click.option("--series-column", help="Column that tells series apart, where the file has several.")
@click.option(
    "--season-length",
    "seasons",
    type=click.IntRange(2),
    multiple=True,
    metavar="M",
    help="Steps of a season; may be repeated. Default: what the step suggests (hours: 24, 168) and a test confirms.",
)
@click.option(
    "--level", "levels", type=click.IntRange(1, 99), multiple=True, default=(80, 95), show_default=True,
    help="Percent of an interval; may be repeated.",
)  # fmt: skip
@click.option(
    "--effort",
    type=click.Choice(["fast", "normal", "thorough"]),
    default="normal",
    show_default=True,
    help="fast: Theta alone, hundreds of series a second; thorough: also ARIMA and five origins.",
)
@click.option("--output", "-o", metavar="FILE", help="Where to write. Default: standard output.")
@click.option("--report", "report_file", metavar="FILE.json", help="Where to write what was chosen, and its backtest.")
def forecast(
    file: str,
    horizon: int,
    timestamp_column: str,
    value_column: str,
    series_column: str | None,
    seasons: tuple[int, ...],
    levels: tuple[int, ...],
    effort: Any,
    output: str | None,
    report_file: str | None,
) -> None:
    """Forecasts one series or thousands in one file: FILE.csv with a line of column names, `-` for standard input.

    Writes [series,]timestamp,mean,lower_80,upper_80,… for every step. Models are weighed by how they did from earlier
    origins of the same series, and intervals are as wide as their errors were. Steps that are missing are filled, rows
    with one time are averaged; a series that never was negative is not forecast to be.
    """
    from batch.forecast.run import forecasts, report, write_forecasts
    from batch.forecast.table import read_series
    from vitals.errors import UserError

    levels = tuple(sorted(set(levels)))
    with ExitStack() as files:
        try:
            source = (
                sys.stdin if file == "-" else files.enter_context(Path(file).open(newline="", encoding="utf-8-sig"))
            )
            series = read_series(source, timestamp_column, value_column, series_column)
            target = (
                sys.stdout
                if output is None
                else files.enter_context(Path(output).open("w", newline="", encoding="utf-8"))
            )
        except OSError as error:
            raise UserError(f"{error.filename} cannot be opened: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{file} is not text in UTF-8: {error.reason}.") from error
        with click.progressbar(
            forecasts(series, horizon, seasons, effort), length=len(series), label="Forecasting", file=sys.stderr
        ) as working:
            made = list(working)
        write_forecasts(target, series, made, levels, series_column)
    told = report(series, made, levels)
    if report_file is not None:
        try:
            Path(report_file).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{report_file} cannot be written: {error.strerror}.") from error
    click.echo(_summary(told, sum(one.repeated for one in series)), err=True)


def _summary(told: dict[str, Any], repeated: int) -> str:
    lines = [f"{told['series']:,} series; {told['backtested']:,} long enough for a backtest."]
    if repeated:
        lines.append(f"{repeated:,} rows repeat a time; their values are averaged.")
    if told["mase"]:
        errors = ", ".join(f"{name.replace('_', ' ')} {error:.3f}" for name, error in told["mase"].items())
        cover = ", ".join(f"{level}%: {100 * share:.0f}%" for level, share in told["coverage"].items())
        lines.append(f"Backtest, mean MASE: {errors}. Intervals held {cover}.")
    return "\n".join(lines)


commands = [forecast]

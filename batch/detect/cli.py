"""`vitals detect`."""

import sys
from pathlib import Path

import click


@click.command("detect")
@click.argument("file", metavar="FILE.csv")
@click.option("--timestamp-column", default="timestamp", show_default=True, help="Column of the time.")
@click.option("--value-column", default="value", show_default=True, help="Column of the number.")
@click.option("--output", "-o", metavar="FILE", help="Where to write. Default: standard output.")
def detect(file: str, timestamp_column: str, value_column: str, output: str | None) -> None:
    """Finds anomalies in a series: FILE.csv with a line of column names, `-` for standard input.

    Writes timestamp,value,anomaly_score,expected,lower,upper,kind for every row, in its order. A score (0 to 1) uses
    rows up to its own only; from 0.5 on the row is an anomaly and has a kind: spike, drop, level_shift, flat_line,
    silence or pattern. Times are ISO 8601 (UTC where they name no zone) or epochs. There is nothing to tune.
    """
    from contextlib import ExitStack

    from batch.detect.series_file import detect_file
    from vitals.errors import UserError

    with ExitStack() as files:
        try:
            source = (
                sys.stdin if file == "-" else files.enter_context(Path(file).open(newline="", encoding="utf-8-sig"))
            )
            target = (
                sys.stdout
                if output is None
                else files.enter_context(Path(output).open("w", newline="", encoding="utf-8"))
            )
        except OSError as error:
            raise UserError(f"{error.filename} cannot be opened: {error.strerror}.") from error
        rows = anomalies = 0
        counting = sys.stderr.isatty() and output is not None
        try:
            for more, flagged in detect_file(source, target, timestamp_column, value_column):
                rows, anomalies = rows + more, anomalies + flagged
                if counting:
                    click.echo(f"\r{rows:,} rows, {anomalies:,} anomalies", nl=False, err=True)
        except UnicodeDecodeError as error:
            raise UserError(f"{file} is not text in UTF-8: {error.reason}.") from error
        except BrokenPipeError:
            sys.stderr.close()  # whoever reads has enough
            return
    if output is not None:
        start = "\r" if counting else ""
        click.echo(f"{start}{rows:,} rows, {anomalies:,} anomalies in {output}", err=True)


commands = [detect]

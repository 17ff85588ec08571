"""`vitals batch`."""

import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from batch.plan import Summary

FATES = {
    "counted": "counted",
    "duplicate": "duplicates",
    "progress": "progress records skipped",
    "unreadable": "unreadable",
}


@click.group("batch")
def batch() -> None:
    """Recomputes over a whole range of the log at once, with Spark."""


@batch.command("rollup")
@click.option(
    "--from-offsets",
    metavar="OFFSETS",
    default="earliest",
    show_default=True,
    help='Where to begin: `earliest`, or JSON by topic and partition such as \'{"events.crm": {"0": 12}}\'; partitions '
    "that it leaves out are read from their beginning.",
)
@click.option(
    "--to-offsets",
    metavar="OFFSETS",
    default="latest",
    show_default=True,
    help="Where to end (exclusive): `latest`, or JSON likewise; partitions that it leaves out are read to their end.",
)
@click.option(
    "--topic", "topics", multiple=True, help="Events topic to read; may be repeated. Default: all that metrics read."
)
@click.option("--out", required=True, metavar="FOLDER", help="Parquet folder to write; it must not exist yet.")
@click.option("--master", default="local[*]", show_default=True, help="Spark's master: this machine, or a cluster's.")
@click.option("--memory", default="2g", show_default=True, help="Memory of Spark's driver; on this machine, of Spark.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def rollup(
    from_offsets: str, to_offsets: str, topics: tuple[str, ...], out: str, master: str, memory: str, as_json: bool
) -> None:
    """Computes every metric's final window values over a range of topics and writes them as Parquet.

    Rows: account_id, metric, grain, window_start (UTC), value DECIMAL(38,6). Of each event id the first in the range
    counts. No event is late here: the range is seen as a whole. Spark is installed when it is first used and needs a
    JDK 17 or 21.
    """
    from batch.rollup import roll_up
    from vitals.settings import load_settings

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends Spark as Ctrl-C does
    summary = roll_up(load_settings(), topics, from_offsets, to_offsets, out, master, memory)
    click.echo(json.dumps(summary | {"out": out}) if as_json else _told(summary, out))


@batch.command("scores")
@click.option("--values", required=True, metavar="FOLDER", help="Values that `vitals batch rollup` wrote.")
@click.option("--out", required=True, metavar="FOLDER", help="Parquet folder to write; it must not exist yet.")
@click.option("--model", "model_file", metavar="FILE", help="Health model (YAML); the newest by default.")
@click.option(
    "--through",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Last tick (the midnight UTC that begins this day). Default: the one that ends the newest day with a value.",
)
@click.option("--master", default="local[*]", show_default=True, help="Spark's master: this machine, or a cluster's.")
@click.option("--memory", default="2g", show_default=True, help="Memory of Spark's driver; on this machine, of Spark.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def scores(
    values: str, out: str, model_file: str | None, through: datetime | None, master: str, memory: str, as_json: bool
) -> None:
    """Scores every account at every tick of history, with the functions that the stream runs.

    Rows: account_id, tick, model, score, band, trend, coverage, contributions, signal_values, statuses, segment,
    adjustment; scores, coverage and contributions are integers in 10^-6. Everything in the values counts as known:
    there are no outages, gates or overrides, and every account is weighed alike.
    """
    from batch.scores import score_history

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    last = None if through is None else through.replace(tzinfo=UTC)
    model = None if model_file is None else Path(model_file)
    summary = score_history(values, out, last, model, master=master, memory=memory)
    told = f"{summary['rows']:,} scores of {summary['accounts']:,} accounts in {out}"
    click.echo(json.dumps(summary | {"out": out}) if as_json else told)


def _told(summary: "Summary", out: str) -> str:
    lines = []
    for topic, fates in summary["topics"].items():
        events = fates.get("counted", 0) + fates.get("duplicate", 0)
        told = ", ".join(f"{fates.get(fate, 0):,} {text}" for fate, text in FATES.items())
        lines.append(f"{topic}: {events:,} events read; {told}")
    return "\n".join([*lines, f"{summary['rows']:,} values in {out}"])


commands = [batch]

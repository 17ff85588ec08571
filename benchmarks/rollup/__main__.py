"""`make bench BENCH=rollup`, or `python -m benchmarks.rollup --help`."""

import argparse
import importlib
import pkgutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from benchmarks.rollup import contenders, report
from benchmarks.rollup.broker import EVENTS, lay_topics
from benchmarks.rollup.contender import Contender, ContenderError, Field
from benchmarks.rollup.log import Shape, generated, produce
from benchmarks.rollup.measured import Measured
from embedded.endpoints import Endpoints
from embedded.stack import Stack
from vitals.settings import Settings


def found() -> list[Contender]:
    """Every contender, in order."""
    modules = (
        importlib.import_module(info.name)
        for info in pkgutil.iter_modules(contenders.__path__, f"{contenders.__name__}.")
    )
    return sorted((cast(Contender, module) for module in modules), key=lambda each: each.ORDER)


@contextmanager
def broker() -> Iterator[tuple[Endpoints, Settings, Path]]:
    """Kafka and the registry in a folder that is removed in the end."""
    with tempfile.TemporaryDirectory(prefix="vitals-benchmark-") as text:
        folder = Path(text)
        with Stack(folder / "state").infrastructure(("kafka", "registry")) as endpoints:
            settings = Settings(
                kafka_bootstrap=endpoints.kafka_bootstrap,
                registry_url=endpoints.registry_url,
                postgres_dsn=SecretStr(endpoints.postgres_dsn),
                state_dir=folder,
            )
            yield endpoints, settings, folder


def laid(shape: Shape, endpoints: Endpoints, settings: Settings, folder: Path) -> Field:
    """The field of a shape: fresh topics with its log in them."""
    log = generated(shape)
    schema_id = lay_topics(settings, shape.partitions)
    size, seconds = produce(log, settings.kafka_bootstrap, EVENTS, schema_id)
    print(f"log: {shape}, {size:.0f} B a message, {len(log.source) / seconds:,.0f} messages/s produced", flush=True)
    return Field(log, EVENTS, schema_id, endpoints, settings, folder)


def run_all(field: Field, chosen: Sequence[Contender], repeats: int) -> tuple[list[Measured], dict[str, str]]:
    """Every contender's runs, and why some have none."""
    runs: list[Measured] = []
    failures: dict[str, str] = {}
    repeated = [each for each in chosen if each.REPEATED]
    plan = [each for _ in range(repeats) for each in repeated] + [each for each in chosen if not each.REPEATED]
    for contender in plan:
        if contender.NAME in failures:
            continue
        try:
            measured = contender.run(field)
        except ContenderError as error:
            failures[contender.NAME] = str(error)
            print(f"{contender.NAME}: no result. {error}", flush=True)
            continue
        for run in measured:
            print(report.line(run), flush=True)
        runs += measured
    return runs, failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what was asked for; 1 where a result of ours is not right."""
    everyone = found()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollup", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="messages of the log, duplicates included")
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--runs", type=int, default=5, help="interleaved runs of the floors and of ours")
    parser.add_argument("--only", help=f"some of: {', '.join(module_name(each) for each in everyone)}")
    parser.add_argument("--growth", action="store_true", help="how our cost grows, instead of the comparison")
    parser.add_argument("--report", type=Path, help="write or update a Markdown report in this file")
    given = parser.parse_args(arguments)
    names = given.only.split(",") if given.only else [module_name(each) for each in everyone]
    unknown = set(names) - {module_name(each) for each in everyone}
    if unknown:
        parser.error(f"no contender is called {', '.join(sorted(unknown))}")
    chosen = [each for each in everyone if module_name(each) in names]
    shape = Shape(given.events, given.accounts, given.partitions)
    with broker() as (endpoints, settings, folder):
        runs, failures = run_all(laid(shape, endpoints, settings, folder), chosen, given.runs)
    tables = report.comparison(shape, runs, failures)
    print(tables)
    return int(any(run.problem for run in runs))


def module_name(contender: Contender) -> str:
    """How `--only` names a contender."""
    return str(vars(contender)["__name__"]).rpartition(".")[2]


if __name__ == "__main__":
    raise SystemExit(main())

"""`make bench BENCH=rollup`: the rollup beside librdkafka alone and beside other engines, or how its cost grows."""

import argparse
import importlib
import pkgutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from benchmarks.rollup import contenders, growth, report
from benchmarks.rollup.broker import EVENTS, lay_topics
from benchmarks.rollup.contender import Contender, ContenderError, Field
from benchmarks.rollup.log import Shape, generated, produce
from benchmarks.rollup.measured import Measured, busy_cores
from embedded.endpoints import Endpoints
from embedded.stack import Stack
from vitals.settings import Settings

COMPARISON, GROWTH = "Comparison", "Growth"


@dataclass(frozen=True)
class Ground:
    """Kafka and the registry, and a folder that is removed in the end."""

    endpoints: Endpoints
    settings: Settings
    folder: Path

    def laid(self, shape: Shape) -> Field:
        """Fresh topics with the log of a shape in them."""
        log = generated(shape)
        schema_id = lay_topics(self.settings, shape.partitions)
        size, seconds = produce(log, self.settings.kafka_bootstrap, EVENTS, schema_id)
        print(f"{report.described(shape)} {size:.0f} B a message, produced in {seconds:.1f} s.", flush=True)
        return Field(log, EVENTS, schema_id, self.endpoints, self.settings, self.folder)


@contextmanager
def broker() -> Iterator[Ground]:
    """The parts that every contender uses, started and stopped."""
    with tempfile.TemporaryDirectory(prefix="vitals-benchmark-") as text:
        folder = Path(text)
        with Stack(folder / "state").infrastructure(("kafka", "registry")) as endpoints:
            settings = Settings(
                kafka_bootstrap=endpoints.kafka_bootstrap,
                registry_url=endpoints.registry_url,
                postgres_dsn=SecretStr(endpoints.postgres_dsn),
                state_dir=folder,
            )
            yield Ground(endpoints, settings, folder)


def found() -> dict[str, Contender]:
    """Every contender by the name of its module, in order."""
    names = [info.name for info in pkgutil.iter_modules(contenders.__path__)]
    modules = {name: cast(Contender, importlib.import_module(f"{contenders.__name__}.{name}")) for name in names}
    return dict(sorted(modules.items(), key=lambda item: item[1].ORDER))


def planned(chosen: Sequence[Contender], repeats: int) -> Iterator[Contender]:
    """What runs when: the repeated ones in every round, and the peers one by one between the rounds."""
    once = [each for each in chosen if not each.REPEATED]
    for number in range(repeats):
        yield from (each for each in chosen if each.REPEATED)
        yield from once[number::repeats]


def compare(shape: Shape, chosen: Sequence[Contender], repeats: int) -> tuple[str, bool]:
    """The tables, and whether ours was right throughout."""
    runs: dict[str, list[Measured]] = {contender.NAME: [] for contender in chosen}
    failures: dict[str, str] = {}
    with broker() as ground:
        field = ground.laid(shape)
        for contender in planned(chosen, repeats):
            if contender.NAME in failures:
                continue
            busy = busy_cores()
            try:
                measured = [replace(run, busy_cores=busy) for run in contender.run(field)]
            except ContenderError as error:
                failures[contender.NAME] = str(error)
                print(f"{contender.NAME}: no result. {error}", flush=True)
                continue
            for run in measured:
                print(report.line(run), flush=True)
            runs[contender.NAME] += measured
    every = [run for own in runs.values() for run in own]
    wrong = [*failures, *(run.name for run in every if run.problem)]
    return report.comparison(shape, every, failures), not any(name.startswith(report.OURS) for name in wrong)


def grow(shape: Shape, repeats: int) -> tuple[str, bool]:
    """The table of growth, and whether every result was right."""
    lines, right = [report.growth_head(shape)], True
    field: Field | None = None
    with broker() as ground:
        for step in growth.steps(shape):
            if field is None or field.log.shape != step.shape:
                field = ground.laid(step.shape)
            busy = busy_cores()
            try:
                floors, ours = growth.measure(step, field, repeats)
            except ContenderError as error:
                lines.append(report.growth_failure(step, str(error)))
                right = False
            else:
                lines.append(report.growth_line(step, floors, [replace(run, busy_cores=busy) for run in ours]))
                right = right and not any(run.problem for run in ours)
            print(lines[-1], flush=True)
    return "\n".join(lines), right


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what was asked for; 1 where a result of ours is not right."""
    everyone = found()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollup", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="messages of the log, duplicates included")
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--runs", type=int, help="interleaved runs of the floors and of ours (5; for growth 3)")
    parser.add_argument("--only", help=f"some of: {', '.join(everyone)}")
    parser.add_argument("--growth", action="store_true", help="how our cost grows, instead of the comparison")
    parser.add_argument("--report", type=Path, nargs="?", const=report.REPORT, help="put it into a Markdown report")
    given = parser.parse_args(arguments)
    names = given.only.split(",") if given.only else list(everyone)
    if unknown := set(names) - set(everyone):
        parser.error(f"no contender is called {', '.join(sorted(unknown))}")
    shape = Shape(given.events, given.accounts, given.partitions)
    if given.growth:
        tables, right = grow(shape, given.runs or 3)
    else:
        tables, right = compare(shape, [each for name, each in everyone.items() if name in names], given.runs or 5)
    print(f"\n{tables}")
    if given.report:
        report.write(given.report, GROWTH if given.growth else COMPARISON, tables)
    return int(not right)


if __name__ == "__main__":
    raise SystemExit(main())

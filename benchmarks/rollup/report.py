"""The tables, as Markdown that also reads well on a terminal, and the report that keeps them."""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.rollup.contenders import consume_only, consume_paused, worker, worker_same_job
from benchmarks.rollup.growth import Step
from benchmarks.rollup.log import Shape
from benchmarks.rollup.measured import Measured, Summary, summaries

ROOT = Path(__file__).resolve().parent.parent.parent
REPORT = ROOT / "docs" / "verification" / "rollup-benchmark.md"
FLOOR, PAUSED, OURS, SAME_JOB = consume_only.NAME, consume_paused.NAME, worker.NAME, worker_same_job.NAME
QUIET_CORES = 0.3

HEAD = """# The rollup, measured

Written by `make bench BENCH=rollup ARGS=--report` and `ARGS='--growth --report'`; do not edit.

Every contender reads the same log from the same Kafka on the same cores, which Kafka uses as well.

- *Consume only* is librdkafka with the worker's options, the floor. *librdkafka's pauses* is the same loop with its
  default: it then fetches nothing for a second whenever it holds 100,000 messages of a partition, and the loop waits. A
  ratio to that says more of the pauses than of our cost; it is given because earlier figures were of that kind.
- *Worker* is `vitals rollup` as in production: the catalogue's product metrics, duplicates dropped, exact distinct
  counts, bundles published, snapshots written.
- The peers' job is the count, three conditional counts, a sum and the exact distinct users by account and minute;
  *worker, the peers' job* is the worker with those instead of the catalogue.

A result is right when each of its rows equals the truth, which is computed from the generated columns.

The worker's time runs from its first assigned partition to the broker's receipt of the last bundle; a peer's from its
first event (Faust, Quix Streams), from the submission of the query (cold, and Spark) or from the job's start (Flink,
warm). CPU and memory are those of the contender's processes (resident memory, shared pages counted in each), without
the broker. Where other work shared the machine, the ratio in CPU seconds says more than the one in wall time.
"""


@dataclass(frozen=True)
class Target:
    """A ratio of ours to another contender that the design asks for. Printed, never asserted: the machine is shared."""

    ours: str
    other: str
    at_least: float
    goal: float | None = None


# A floor is for whatever we do; a peer is compared with ours at the peer's own job.
TARGETS = (
    Target(OURS, FLOOR, 0.45, 0.6),
    Target(OURS, PAUSED, 0.45, 0.6),
    Target(SAME_JOB, "Faust, empty agent", 20),
    Target(SAME_JOB, "Flink SQL, warm", 1.5),
    Target(SAME_JOB, "Spark, warm", 1.5),
)
CPU_PER_MILLION_AT_MOST = 8.0


def line(run: Measured) -> str:
    """One run as it ends."""
    figures = f"{run.rate:>10,.0f} events/s {run.cpu_per_million:>7.1f} CPU s/M {run.peak_bytes / 1e6:>6,.0f} MB"
    remarks = _remarks(run.note, _busy(run.busy_cores))
    return f"{run.name:36} {figures} {run.seconds:>7.2f} s  {_verdict(run.rows, run.problem)}  {remarks}"


def comparison(shape: Shape, runs: Sequence[Measured], failures: Mapping[str, str]) -> str:
    """The comparison and the targets."""
    results = {each.name: each for each in summaries(runs)}
    lines = [
        described(shape) + f" {_runs_said(results)}",
        "",
        "| contender | events/s | slowest to fastest | of the floor | of it with pauses | CPU s per million | "
        "peak MB | result | remarks |",
        "| --- | --: | --: | --: | --: | --: | --: | --- | --- |",
    ]
    for each in results.values():
        slowest, fastest = each.rates
        spread = f"{slowest:,.0f} to {fastest:,.0f}" if len(each.runs) > 1 else "one run"
        shares = " | ".join(_share(each, results.get(floor)) for floor in (FLOOR, PAUSED))
        first = each.runs[0]
        part = f"first {first.events:,} events" if first.events < shape.events else ""
        lines.append(
            f"| {each.name} | {each.rate:,.0f} | {spread} | {shares} | {each.cpu_per_million:.1f} | "
            f"{each.peak_bytes / 1e6:,.0f} | {_verdict(first.rows, each.problem)} | "
            f"{_remarks(part, first.note, _busy(each.busy_cores))} |"
        )
    lines += [f"| {name} | - | - | - | - | - | - | no result | {_short(why)} |" for name, why in failures.items()]
    return "\n".join([*lines, "", *targets(results)])


def growth_head(base: Shape) -> str:
    """The growth table's first lines."""
    return "\n".join(
        [
            "One dimension varies, the others are as in: " + described(base),
            "",
            "| dimension | size | events/s | of the floor | of it with pauses | CPU s per million | peak MB | "
            "result | remarks |",
            "| --- | --: | --: | --: | --: | --: | --: | --- | --- |",
        ]
    )


def growth_line(step: Step, floors: Sequence[Measured], ours: Sequence[Measured]) -> str:
    """One configuration."""
    (floor, paused), (each,) = summaries(floors), summaries(ours)
    return (
        f"| {step.dimension} | {step.size:,} | {each.rate:,.0f} | {_share(each, floor)} | {_share(each, paused)} | "
        f"{each.cpu_per_million:.1f} | {each.peak_bytes / 1e6:,.0f} | {_verdict(each.runs[0].rows, each.problem)} | "
        f"{_remarks(each.runs[0].note, _busy(each.busy_cores))} |"
    )


def growth_failure(step: Step, why: str) -> str:
    """A configuration without a result."""
    return f"| {step.dimension} | {step.size:,} | - | - | - | - | - | no result | {_short(why)} |"


def targets(results: Mapping[str, Summary]) -> list[str]:
    """How ours stands to what the design asks for, as far as it was measured."""
    lines = ["| target | asked for | measured | | in CPU seconds |", "| --- | --: | --: | --- | --: |"]
    for target in TARGETS:
        ours, other = results.get(target.ours), results.get(target.other)
        if ours is None or other is None:
            continue
        ratio = ours.rate / other.rate
        asked = f">= {target.at_least:g}" + (f" (goal {target.goal:g})" if target.goal else "")
        cpu = other.cpu_per_million / ours.cpu_per_million
        met = _met(ratio >= target.at_least)
        lines.append(f"| {target.ours} / {target.other} | {asked} | {ratio:.2f} | {met} | {cpu:.2f} |")
    for name in (OURS, SAME_JOB):
        if (ours := results.get(name)) is not None:
            met = _met(ours.cpu_per_million <= CPU_PER_MILLION_AT_MOST)
            cost = f"{ours.cpu_per_million:.1f} | {met} | |"
            lines.append(f"| {name}: CPU s per million | <= {CPU_PER_MILLION_AT_MOST:g} | {cost}")
    return lines


def write(path: Path, section: str, tables: str) -> None:
    """Puts a section into the report; the other one stays."""
    text = path.read_text() if path.exists() else HEAD
    sections = {part.partition("\n")[0]: part.partition("\n")[2] for part in text.split("\n## ")[1:]}
    sections[section] = f"\n{_circumstances()}\n\n{tables.strip()}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + "".join(f"\n## {name}\n{sections[name].rstrip()}\n" for name in sorted(sections)))


def described(shape: Shape) -> str:
    """A log in a sentence."""
    return (
        f"{shape.events:,} messages ({shape.duplicates:.0%} duplicates, {shape.disorder:.0%} out of order), "
        f"{shape.accounts:,} accounts, {shape.partitions} partitions."
    )


def _circumstances() -> str:
    changed = " with uncommitted changes" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_git('rev-parse', '--short', 'HEAD')}{changed}; "
        f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}."
    )


def _git(*command: str) -> str:
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def _runs_said(results: Mapping[str, Summary]) -> str:
    most = max((len(each.runs) for each in results.values()), default=1)
    return f"Medians of {most} interleaved runs, or one run where it says so." if most > 1 else "One run each."


def _share(each: Summary, floor: Summary | None) -> str:
    return f"{each.rate / floor.rate:.3f}" if floor else "-"


def _verdict(rows: int, problem: str) -> str:
    if problem:
        return f"WRONG: {problem}"
    return f"{rows:,} rows right" if rows else "no rows to check"


def _remarks(*remarks: str) -> str:
    return "; ".join(remark for remark in remarks if remark)


def _busy(cores: float) -> str:
    return f"other work took {cores:.1f} cores" if cores > QUIET_CORES else ""


def _met(met: bool) -> str:
    return "met" if met else "not met"


def _short(text: str) -> str:
    return " ".join(text.split())[-200:].replace("|", "/")

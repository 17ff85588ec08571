"""The tables, as Markdown that also reads well on a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.rollup.log import Shape
from benchmarks.rollup.measured import Measured, Summary, summaries

FLOOR, OURS = "consume only", "worker"


@dataclass(frozen=True)
class Target:
    """A ratio of ours to another contender that the design asks for. Printed, never asserted: the machine is shared."""

    other: str
    at_least: float
    goal: float | None = None


TARGETS = (
    Target(FLOOR, 0.45, 0.6),
    Target("Faust, empty agent", 20),
    Target("Flink SQL, warm", 1.5),
    Target("Spark, warm", 1.5),
)
CPU_PER_MILLION_AT_MOST = 8.0


def line(run: Measured) -> str:
    """One run as it ends."""
    figures = f"{run.rate:>10,.0f} events/s {run.cpu_per_million:>7.1f} CPU s/M {run.peak_bytes / 1e6:>6,.0f} MB"
    note = f" ({run.note})" if run.note else ""
    return f"{run.name:36} {figures} {run.seconds:>7.2f} s  {_verdict(run.rows, run.problem)}{note}"


def comparison(shape: Shape, runs: Sequence[Measured], failures: Mapping[str, str]) -> str:
    """The comparison and the targets."""
    results = {each.name: each for each in summaries(runs)}
    floor = results.get(FLOOR)
    lines = [
        f"{shape.events:,} messages ({shape.duplicates:.0%} duplicates, {shape.disorder:.0%} out of order), "
        f"{shape.accounts:,} accounts, {shape.partitions} partitions.",
        "",
        "| contender | events/s | slowest to fastest | of the floor | CPU s per million | peak MB | result | remarks |",
        "| --- | --: | --: | --: | --: | --: | --- | --- |",
    ]
    for each in results.values():
        slowest, fastest = each.rates
        spread = f"{slowest:,.0f} to {fastest:,.0f}" if len(each.runs) > 1 else "one run"
        share = f"{each.rate / floor.rate:.3f}" if floor else "-"
        first = each.runs[0]
        remarks = (f"first {first.events:,} events; " if first.events < shape.events else "") + first.note
        lines.append(
            f"| {each.name} | {each.rate:,.0f} | {spread} | {share} | {each.cpu_per_million:.1f} | "
            f"{each.peak_bytes / 1e6:,.0f} | {_verdict(first.rows, each.problem)} | {remarks} |"
        )
    lines += [f"| {name} | - | - | - | - | - | no result | {_short(why)} |" for name, why in failures.items()]
    return "\n".join([*lines, "", *targets(results)])


def targets(results: Mapping[str, Summary]) -> list[str]:
    """How ours stands to what the design asks for, as far as it was measured."""
    ours = results.get(OURS)
    if ours is None:
        return []
    lines = ["| target | asked for | measured | |", "| --- | --: | --: | --- |"]
    for target in TARGETS:
        other = results.get(target.other)
        if other is None:
            continue
        ratio = ours.rate / other.rate
        asked = f">= {target.at_least:g}" + (f" (goal {target.goal:g})" if target.goal else "")
        lines.append(f"| {OURS} / {target.other} | {asked} | {ratio:.2f} | {_met(ratio >= target.at_least)} |")
    met = ours.cpu_per_million <= CPU_PER_MILLION_AT_MOST
    lines.append(f"| CPU s per million | <= {CPU_PER_MILLION_AT_MOST:g} | {ours.cpu_per_million:.1f} | {_met(met)} |")
    return lines


def _verdict(rows: int, problem: str) -> str:
    if problem:
        return f"WRONG: {problem}"
    return f"{rows:,} rows right" if rows else "no rows to check"


def _met(met: bool) -> str:
    return "met" if met else "not met"


def _short(text: str) -> str:
    return " ".join(text.split())[-200:].replace("|", "/")

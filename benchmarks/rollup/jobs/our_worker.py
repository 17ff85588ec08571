"""The real worker with other metrics: `--job` for the peers' six measures by minute, `--metrics N` for the catalogue's
product metrics and as many synthetic ones as make N.
"""

import sys

import metrics.catalogue
from benchmarks.rollup.broker import EVENTS
from benchmarks.rollup.truth import MILLION, SYNTHETIC
from metrics.contract import Grain, Metric

OWNER = "benchmark"
GRAINS: tuple[Grain, ...] = ("hour", "day")


def _metric(
    name: str, merge: str, where: object, measure: object = None, grains: tuple[Grain, ...] = ("minute",)
) -> Metric:
    return Metric(name, EVENTS, merge, where, "-", OWNER, "Of the benchmark.", measure, grains)  # type: ignore[arg-type]


def job() -> tuple[Metric, ...]:
    """The peers' measures; `truth.DEFINITIONS` says the same."""
    return (
        _metric("job.events", "count", lambda events: events.kind.notnull()),
        _metric("job.feature_events", "count", lambda events: events.kind == "product.feature_used"),
        _metric("job.tracked_events", "count", lambda events: events.kind == "product.event_tracked"),
        _metric("job.without_value", "count", lambda events: events.value.isnull()),
        _metric("job.value", "sum", lambda events: events.value.notnull(), lambda events: events.value),
        _metric("job.users", "distinct", lambda events: events.user_id.notnull(), lambda events: events.user_id),
    )


def synthetic(number: int, grains: tuple[Grain, ...]) -> Metric:
    """The metric that `truth.synthetic` defines under the same number."""
    feature = number % 50
    name = f"{SYNTHETIC}{number:02d}"

    def of_feature(events: object) -> object:
        return events.properties["feature"] == f"feature-{feature:02d}"  # type: ignore[attr-defined]

    match number % 4:
        case 0:
            bound = (feature + 1) * 20 * MILLION / MILLION
            return _metric(name, "count", lambda events: events.value >= bound, grains=grains)
        case 1:
            return _metric(
                name,
                "sum",
                lambda events: of_feature(events) & events.value.notnull(),
                lambda events: events.value,
                grains,
            )
        case 2:
            return _metric(name, "max", lambda events: events.value.notnull(), lambda events: events.value, grains)
        case _:
            return _metric(
                name,
                "distinct",
                lambda events: of_feature(events) & events.user_id.notnull(),
                lambda events: events.user_id,
                grains,
            )


def extended(count: int) -> tuple[Metric, ...]:
    """The catalogue's product metrics and synthetic ones, `count` together."""
    real = tuple(metric for metric in metrics.catalogue.catalogue() if metric.topic == EVENTS)
    return real[:count] + tuple(synthetic(number, GRAINS) for number in range(count - len(real)))


def chosen(option: str) -> tuple[Metric, ...]:
    """Metrics of an option."""
    return job() if option == "--job" else extended(int(option.removeprefix("--metrics=")))


def main() -> None:
    """Replaces the catalogue, then starts the command, which imports the rest."""
    found = chosen(sys.argv[1])
    metrics.catalogue.catalogue = lambda: found  # type: ignore[assignment]
    from streams.rollup.cli import rollup

    rollup.main([], standalone_mode=True)


if __name__ == "__main__":
    main()

"""Prometheus metrics of the supervisor: which parts are up, and how often each one was started again."""

from collections.abc import Iterable, Iterator

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from embedded.ports import LOOPBACK
from embedded.supervisor import Supervisor
from vitals.telemetry import Health, serve_telemetry

PORT_NAME = "supervisor-metrics"


class PartsCollector(Collector):
    """Reads the parts at the moment of a scrape."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        """One sample a part of each metric."""
        runs = list(self._supervisor.runs.values())
        up = GaugeMetricFamily("vitals_part_up", "1 while the part is ready, or has ended well.", labels=["part"])
        restarts = CounterMetricFamily("vitals_part_restarts", "Times the part was started again.", labels=["part"])
        for run in runs:
            up.add_metric([run.part.name], float(run.settled))
            restarts.add_metric([run.part.name], run.restarts)
        yield up
        yield restarts

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not scrape at registration."""
        return []


def serve_supervisor(supervisor: Supervisor, port: int) -> Health:
    """Serves `/metrics` and `/healthz` of the supervisor; the caller says when it is ready."""
    health = Health()
    REGISTRY.register(PartsCollector(supervisor))
    serve_telemetry(LOOPBACK, port, health)
    return health

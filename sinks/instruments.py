"""Prometheus metrics of the sinks."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from sinks.delivery import Source

ROWS = Counter("vitals_sink_rows_total", "Rows handed to the store.", ["sink", "table"])
BATCH_SECONDS = Histogram(
    "vitals_sink_batch_seconds",
    "Time to apply one batch.",
    ["sink"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LAG = Gauge("vitals_sink_lag", "End offset minus position, in records.", ["sink", "topic", "partition"])
TOTAL_LAG = Gauge("vitals_sink_lag_sum", "Lag over every partition that this process has.", ["sink"])
DEAD_LETTERS = Counter("vitals_sink_dead_letters_total", "Messages set aside.", ["sink", "topic"])
RECONNECTS = Counter("vitals_sink_reconnects_total", "Times that the sink started over after a fault.", ["sink"])
LOST_RECORDS = Counter(
    "vitals_sink_lost_records_total", "Offsets that retention removed before they were applied.", ["sink", "topic"]
)


class LagGauges:
    """The lag gauges of one sink; those of partitions that it no longer has are removed."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._shown: set[Source] = set()

    def show(self, lags: Mapping[Source, int]) -> None:
        """Shows the lag of each source that this process has."""
        for gone in self._shown - lags.keys():
            LAG.remove(self._sink, gone.topic, str(gone.partition))
        for source, lag in lags.items():
            LAG.labels(self._sink, source.topic, source.partition).set(lag)
        TOTAL_LAG.labels(self._sink).set(sum(lags.values()))
        self._shown = set(lags)

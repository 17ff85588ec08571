"""Lag by worker, as each worker exports it: end offset minus processed offset, summed over its partitions."""

import re
from collections.abc import Mapping

import httpx
from prometheus_client.parser import text_string_to_metric_families

LAG_GAUGE = re.compile(r"vitals_\w*lag")
METRICS_PORT = "-metrics"
TIMEOUT_SECONDS = 2.0


def worker_lags(ports: Mapping[str, int]) -> dict[str, int]:
    """Records that each worker has still to process. A process that exports no lag, or does not answer, is left out.

    ports: the stack's ports by name; `<service>-metrics` is where a service exports its metrics.
    """
    lags: dict[str, int] = {}
    for name, port in sorted(ports.items()):
        if not name.endswith(METRICS_PORT):
            continue
        service = name.removesuffix(METRICS_PORT)
        try:
            exposition = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_SECONDS).text
        except httpx.HTTPError:
            continue
        lag = exported_lag(exposition)
        if lag is not None:
            lags[service] = lag
    return lags


def exported_lag(exposition: str) -> int | None:
    """The sum of the lag gauges in a Prometheus exposition, None where it has none.

    >>> exported_lag("# TYPE vitals_rollup_lag gauge\\nvitals_rollup_lag 2\\n")
    2
    """
    samples = [
        sample.value
        for family in text_string_to_metric_families(exposition)
        if LAG_GAUGE.fullmatch(family.name)
        for sample in family.samples
    ]
    return int(sum(samples)) if samples else None

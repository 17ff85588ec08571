"""Failed payments."""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="billing.payments_failed",
    topic="events.billing",
    merge="count",
    where=of_kind("billing.payment_failed"),
    unit="payments",
    owner="billing",
    description="Attempts to collect an invoice that failed.",
)

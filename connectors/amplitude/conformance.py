"""What the contract tests must be told of Amplitude."""

from connectors.conformance import Conformance

CONFORMANCE = Conformance(
    data_path="/api/2/export",
    any_path="/api/2/export",
    kinds=("product.feature_used", "product.event_tracked"),
    small_pages={"connectors.amplitude.stream.PAGE_OBJECTS": 200},
    environment={"VITALS_AMPLITUDE_WINDOW_HOURS": "720", "VITALS_AMPLITUDE_START_DATE": "2025-11-01"},
)

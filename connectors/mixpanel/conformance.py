"""What the contract tests must be told of Mixpanel."""

from connectors.conformance import Conformance

CONFORMANCE = Conformance(
    data_path="/api/2.0/export",
    any_path="/api/2.0/export",
    kinds=("product.feature_used", "product.event_tracked"),
    small_pages={"connectors.mixpanel.stream.PAGE_OBJECTS": 200},
    environment={"VITALS_MIXPANEL_WINDOW_DAYS": "30", "VITALS_MIXPANEL_START_DATE": "2024-06-01"},
)

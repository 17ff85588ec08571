"""What the contract tests must be told of Stripe."""

from connectors.conformance import Conformance

CONFORMANCE = Conformance(
    data_path="/v1/",
    any_path="/v1/customers?limit=100",
    kinds=(
        "billing.subscription_started",
        "billing.subscription_canceled",
        "billing.invoice_paid",
        "billing.payment_failed",
        "billing.customer_deleted",
        "billing.contract_set",
    ),
    told_by_change=("billing.payment_failed", "billing.customer_deleted", "billing.contract_set"),
    small_pages={
        "connectors.stripe.client.PER_REQUEST": 20,
        "connectors.stripe.stream.REQUESTS_A_PAGE": 2,
        "connectors.stripe.stream.EVENTS_A_PAGE": 5,
    },
)

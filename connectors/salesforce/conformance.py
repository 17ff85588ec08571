"""What the contract tests must be told of Salesforce."""

from connectors.conformance import Conformance

CONFORMANCE = Conformance(
    data_path="/services/data/v67.0/queryAll",
    any_path="/services/data/",
    kinds=(
        "crm.account_created",
        "crm.account_updated",
        "crm.account_deleted",
        "crm.account_restored",
        "crm.opportunity_created",
        "crm.opportunity_won",
        "crm.opportunity_lost",
        "crm.opportunity_deleted",
        "crm.opportunity_restored",
        "crm.activity_logged",
        "crm.contract_set",
        "crm.stakeholder_set",
        "crm.stakeholder_touched",
        "crm.nps_answered",
        "crm.pulse_recorded",
        "support.ticket_opened",
        "support.ticket_solved",
        "support.ticket_deleted",
        "support.ticket_restored",
    ),
    told_by_change=("crm.account_updated", "crm.contract_set", "crm.stakeholder_set"),
    environment={"VITALS_SALESFORCE_CASES": "true"},
    small_pages={"connectors.salesforce.stream.PAGE_OBJECTS": 7},
    waived={
        "locator_expired": "pages by keyset, so it holds no locator",
        "bulk_refused": "a job's, in tests/connectors/test_salesforce_bulk.py",
        "bulk_failed": "a job's, in tests/connectors/test_salesforce_bulk.py",
        **dict.fromkeys(("cdc_gap", "cdc_expired", "cdc_dropped"), "the feed's, in test_salesforce_changes.py"),
    },
    throttle_status=403,
)

"""First loads through all faults at once and kills of the connector bring every record, and each event once."""

from pathlib import Path

import pytest

from tests.connectors.simulated import conformance
from tests.long.conftest import Facts
from tests.long.endurance import Load, assert_same, endure, every_kind

# Another vendor's records belong to the CRM's accounts; its other records are no part of what is tested then.
_ACCOUNTS_ONLY = {"VITALS_SALESFORCE_ACTIVITIES": "false", "VITALS_SALESFORCE_CASES": "false"}

LOADS = {
    "salesforce": Load(4_200, identities=None),
    "hubspot": Load(5_400, 740, identities=None),
    "zendesk": Load(5_400, 900, environment=_ACCOUNTS_ONLY),
    "intercom": Load(4_750, 740, environment=_ACCOUNTS_ONLY),
    "mixpanel": Load(
        300,
        environment={**_ACCOUNTS_ONLY, "VITALS_MIXPANEL_WINDOW_DAYS": "2", "VITALS_MIXPANEL_START_DATE": "2025-10-30"},
    ),
    "amplitude": Load(300, environment={**_ACCOUNTS_ONLY, "VITALS_AMPLITUDE_START_DATE": "2025-10-30"}),
    "stripe": Load(5_000, 740, environment=_ACCOUNTS_ONLY),
}
RECORDS = 100_000
KILLS = 5


def test_every_vendor_is_loaded() -> None:
    assert set(LOADS) == set(conformance())


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("vendor", LOADS)
def test_a_first_load_through_faults_and_kills_brings_every_record_once(
    vendor: str, tmp_path: Path, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in LOADS[vendor].environment.items():
        monkeypatch.setenv(name, value)
    endured = endure([vendor], LOADS[vendor], tmp_path, kills=KILLS)
    brought = endured.brought[vendor]
    repeated = sum(count > 1 for count in brought.published.values())
    met = {kind: count for kind, count in endured.struck.items() if count > 0}
    facts(
        f"{vendor}: first load through faults and kills",
        f"{len(brought.raw):,} records and {len(brought.kinds):,} events, "
        f"{repeated:,} of them more than once, in "
        f"{endured.seconds:.0f} s; {endured.kills} kills, {sum(met.values())} faults of {len(met)} kinds "
        f"of {len(every_kind(vendor))}",
    )
    assert_same(brought, endured.expected[vendor])
    assert len(brought.raw) >= RECORDS
    assert endured.kills == KILLS

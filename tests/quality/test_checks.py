"""The declared checks: valid, documented, and precise about what is wrong with one that is not."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from analytics.quality.declarations import InvalidCheckError, declaration_schema, parse_check
from metrics.catalogue import catalogue
from schemas.checks.catalogue import FOLDER, checks, read_check, read_checks, require_known_gates
from streams.quality.cli import group
from streams.quality.reference import BEGIN, reference
from tests.conftest import ROOT
from vitals.errors import UserError
from vitals.marked_page import with_table

GOOD: dict[str, Any] = {
    "name": "amounts",
    "kind": "validity",
    "description": "Amounts are amounts.",
    "owner": "billing",
    "severity": "warning",
    "topic": "events.billing",
    "field": "value",
    "minimum": 0,
    "window": "day",
    "minimum_records": 1,
    "maximum_share": 0.1,
}


def test_every_kind_is_in_use_and_gates_metrics_that_a_health_signal_may_read() -> None:
    assert len(checks()) >= 12
    kinds = set(declaration_schema()["discriminator"]["mapping"])
    assert {check.kind for check in checks()} == kinds
    require_known_gates(checks(), {metric.name for metric in catalogue()})


def test_the_schema_in_the_docs_is_that_of_the_model_and_takes_every_check() -> None:
    schema = json.loads((ROOT / "docs/quality-check.schema.json").read_text())
    assert schema == declaration_schema(), "vitals quality schema > docs/quality-check.schema.json"
    for path in FOLDER.glob("*.yaml"):
        Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))


def test_the_table_in_the_docs_is_that_of_the_checks() -> None:
    page = (ROOT / "docs/quality.md").read_text()
    assert page == with_table(page, BEGIN, reference(checks())), "vitals quality reference --write docs/quality.md"
    with pytest.raises(UserError, match="no line"):
        with_table("nothing", BEGIN, reference(checks()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "tidiness"}, "tidiness.*does not match"),
        ({"severity": "bad"}, "^severity: Input should be 'info', 'warning' or 'critical'"),
        ({"maximum_share": 2}, "^maximum_share: Input should be less than or equal to 1"),
        ({"field": "colour"}, "^field"),
        ({"colour": "red"}, "^colour: Extra inputs"),
        ({"kinds": ["crm.account_created"]}, "kind crm.account_created is not on events.billing"),
        ({"window": "hour", "gates": ["billing.seats"]}, "a check with gates needs `window: day`"),
        ({"minimum": None}, "say one of `minimum`/`maximum`"),
        ({"pattern": "a"}, "say one of `minimum`/`maximum`"),
        ({"maximum": -1}, "no number is at least 0 and at most -1"),
        ({"minimum": None, "pattern": "("}, "^pattern: is not a regular expression"),
        ({"ahead_seconds": 5}, "`ahead_seconds` belongs to the field `event_time`"),
        ({"field": "event_time"}, "`event_time` is checked by `ahead_seconds`"),
        ({"kind": "volume", "weeks": 3}, "minimum_weeks 4 is more than weeks 3"),
        ({"kind": "volume", "window": "hour"}, "volume compares weekdays"),
        ({"kind": "drift", "reference_windows": 2}, "minimum_reference 7 is more than reference_windows 2"),
        ({"kind": "freshness", "gates": ["billing.seats"]}, "freshness has no gates"),
        ({"kind": "sequence", "kinds": ["billing.invoice_paid"]}, "leave it out"),
        ({"kind": "cross_source", "sources": ["stripe"]}, "`sources` has no meaning"),
    ],
)
def test_a_mistake_is_named_with_its_place(change: dict[str, Any], told: str) -> None:
    assert parse_check(GOOD).name == "amounts"
    wanted: dict[str, set[str]] = {
        "volume": {"weeks"},
        "drift": {"field", "reference_windows"},
        "freshness": set(),
        "sequence": {"maximum_share"},
        "cross_source": set(),
    }
    more: dict[str, Any] = {
        "drift": {"maximum_divergence": 0.1},
        "freshness": {"maximum_lag_seconds": 5},
        "sequence": {"earlier": "billing.a", "later": "billing.b"},
        "cross_source": {
            "left": {"topic": "events.crm", "kinds": ["crm.a"]},
            "right": {"topic": "events.crm", "kinds": ["crm.b"]},
            "minimum_share": 0.5,
        },
    }
    kind = change.get("kind", "validity")
    base = dict(GOOD)
    if kind in wanted:
        topic_less = {"topic"} if kind in ("freshness", "cross_source") else set()
        drop = {"field", "minimum", "maximum_share"} - wanted[kind] | topic_less
        base = {name: value for name, value in GOOD.items() if name not in drop} | more.get(kind, {})
    with pytest.raises(InvalidCheckError, match=told):
        parse_check(base | change)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a list", "a check is a mapping"),
        ("name: [", "is not YAML"),
        (yaml.safe_dump(GOOD | {"name": "other"}), "must be that of the file, amounts"),
        (yaml.safe_dump(GOOD | {"topic": "events.weather", "kinds": []}), "is not one of events.crm"),
    ],
)
def test_a_file_that_is_no_check_is_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "amounts.yaml").write_text(text)
    with pytest.raises(UserError, match=told):
        read_checks(tmp_path)


def test_a_missing_file_and_an_unknown_metric_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_check(tmp_path / "none.yaml")
    gating = parse_check(GOOD | {"gates": ["billing.smiles"]})
    with pytest.raises(UserError, match=r"there is no metric billing\.smiles to gate"):
        require_known_gates([gating], {"billing.seats"})


def test_the_command_line_lists_them() -> None:
    listed = CliRunner().invoke(group, ["list"])
    assert listed.exit_code == 0
    assert all(check.name in listed.output for check in checks())
    described = json.loads(CliRunner().invoke(group, ["list", "--json"]).output)
    assert [each["name"] for each in described] == [check.name for check in checks()]

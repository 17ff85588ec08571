"""Deliveries as rows of tables: one row a key, the one with the greatest revision. Pure."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from analytics.health.scores import STATUSES
from analytics.health.segments import EVERYONE
from sinks.delivery import (
    ACCOUNTS,
    EVENTS_BILLING,
    EVENTS_CRM,
    HEALTH_SCORES,
    IDENTITIES,
    METRICS_VALUES,
    PIPELINE_COUNTS,
    QUALITY_RESULTS,
    Delivery,
    canonical_account_id,
)
from sinks.timescale.columns import Column, nested, number_array, plain, quoted
from sinks.timescale.contract_terms import CONTRACT_COLUMNS, contract_row, day_of
from vitals.errors import BadRecordError

Row = tuple[Any, ...]
Rows = dict[str, dict[Row, Row]]
"""By table: key to row."""

BANDS = frozenset({"healthy", "watch", "at_risk", "unknown"})
TRENDS = frozenset({"up", "flat", "down"})
VERDICTS = frozenset({"passed", "failed", "not_enough_data"})

CONNECTOR_PARTITION = -1

_SCORE_COLUMNS: dict[str, Column] = {
    "account_id": plain,
    "tick": plain,
    "model": quoted,
    "score": plain,
    "band": quoted,
    "trend": quoted,
    "coverage": plain,
    "contributions": nested,
    "signal_values": nested,
    "partition": plain,
    "position": plain,
    "adjustment": plain,
    "segment": quoted,
    "statuses": nested,
}

COLUMNS: Mapping[str, Mapping[str, Column]] = MappingProxyType(
    {
        "account_profiles": {
            "account_id": plain,
            "valid_from": plain,
            "crm_id": quoted,
            "name": quoted,
            "segment": quoted,
            "owner": quoted,
            "region": quoted,
            "plan": quoted,
            "created_at": plain,
            "deleted": plain,
            "source": quoted,
            "arr": plain,
            "arr_currency": quoted,
            "time_zone": quoted,
            "renewal_date": plain,
            "domain": quoted,
            "parent_id": plain,
        },
        "account_contracts": dict(CONTRACT_COLUMNS),
        "account_aliases": {
            "account_id": plain,
            "surviving_id": plain,
            "valid_from": plain,
            "source": quoted,
            "withdrawn": plain,
        },
        "metric_values": {
            "account_id": plain,
            "metric": quoted,
            "grain": quoted,
            "window_start": plain,
            "value": plain,
            "partition": plain,
            "definition_version": plain,
            "rank": plain,
            "position": plain,
        },
        "health_scores": _SCORE_COLUMNS,
        "health_live": _SCORE_COLUMNS | {"newest_ingested_at": plain, "watermark": plain},
        "watermarks": {
            "input_topic": quoted,
            "partition": plain,
            "watermark": plain,
            "sealed_through": plain,
            "newest_ingested_at": plain,
            "position": plain,
        },
        "pipeline_counts": {
            "stage": quoted,
            "name": quoted,
            "partition": plain,
            "kind": quoted,
            "fate": quoted,
            "count": plain,
            "position": plain,
        },
        "quality_results": {
            "check_name": quoted,
            "source": quoted,
            "window_start": plain,
            "window_end": plain,
            "kind": quoted,
            "severity": quoted,
            "verdict": quoted,
            "records": plain,
            "flagged": plain,
            "observed": plain,
            "lower_bound": plain,
            "upper_bound": plain,
            "version": plain,
            "final": plain,
            "position": plain,
        },
        "quality_gates": {
            "partition": plain,
            "check_name": quoted,
            "source": quoted,
            "since": plain,
            "closed": plain,
            "metrics": quoted,
            "version": plain,
            "position": plain,
        },
    }
)
"""The columns of every table that the sink writes, in the order of a row's values."""


def rows_of(deliveries: Iterable[Delivery]) -> Rows:
    """The rows of a batch. Of two rows with one key the greater revision stays; of two profiles the later one.

    Raises:
        BadRecordError: a record holds what its table cannot.
    """
    rows: Rows = {table: {} for table in COLUMNS}
    for delivery in deliveries:
        _ADD[delivery.topic](rows, delivery.record)
        if delivery.record.get("gates"):
            _add_gates(rows, delivery.record, delivery.message.offset)
    return {table: by_key for table, by_key in rows.items() if by_key}


def parameters(table: str, rows: Iterable[Row]) -> dict[str, str]:
    """The rows as the parameters of the table's upsert: an array literal a column."""
    return {
        name: column(values)
        for (name, column), values in zip(COLUMNS[table].items(), zip(*rows, strict=True), strict=True)
    }


def _add_profile(rows: Rows, record: Mapping[str, Any]) -> None:
    account_id = canonical_account_id(record["account_id"])
    key = (account_id, record["valid_from"])
    renewal, parent = record.get("renewal_date"), record.get("parent_id")
    written = {
        **record,
        "renewal_date": None if renewal is None else day_of(renewal, "renewal_date"),
        "parent_id": None if parent is None else canonical_account_id(parent),
    }
    # A record without the later fields is an older writer's.
    rows["account_profiles"][key] = (account_id, *(written.get(name) for name in _PROFILE_FIELDS))


_PROFILE_FIELDS = tuple(COLUMNS["account_profiles"])[1:]


def _add_alias(rows: Rows, record: Mapping[str, Any]) -> None:
    merged, surviving = (canonical_account_id(record[name]) for name in ("account_id", "surviving_id"))
    # All of an account's are on one partition, so the later one is the newer.
    rows["account_aliases"][(merged,)] = (
        merged,
        surviving,
        record["valid_from"],
        record["source"],
        record["withdrawn"],
    )


def _add_event(rows: Rows, record: Mapping[str, Any]) -> None:
    row = contract_row(record)
    if row is not None:
        rows["account_contracts"][row[:4]] = row


def _add_metric_values(rows: Rows, record: Mapping[str, Any]) -> None:
    held = rows["metric_values"]
    partition, topic, position = record["input_partition"], record["input_topic"], record["next_offset"]
    revision = (record["definition_version"], record["rank"], position)
    for account in record["accounts"]:
        account_id = canonical_account_id(account["account_id"])
        for value in account["values"]:
            key = (account_id, value["metric"], value["grain"], value["window_start"])
            present = held.get(key)
            if present is None or present[-3:] < revision:
                held[key] = (*key, value["value"], partition, *revision)
    # What reconciliation writes about the past says nothing about how far the stream is.
    if record["last_part"] and record["rank"] == 0:
        _add_watermark(rows, topic, partition, record, position)
        _add_counts(rows, "rollup", topic, partition, record["counts"], position)


def _add_scores(rows: Rows, record: Mapping[str, Any]) -> None:
    live = record["live"]
    held = rows["health_live" if live else "health_scores"]
    model, partition, position = record["model"], record["partition"], record["position"]
    freshness = (record["newest_ingested_at"], record["watermark"]) if live else ()
    for account in record["accounts"]:
        account_id = canonical_account_id(account["account_id"])
        for score in account["scores"]:
            band, trend, tick = score["band"], score["trend"], score["tick"]
            if band not in BANDS or trend not in TRENDS:
                raise BadRecordError(f"Band {band!r} with trend {trend!r} is not one that a health score has.")
            key = (account_id, model) if live else (account_id, model, tick)
            present = held.get(key)
            if present is None or present[_POSITION] < position:
                held[key] = (
                    account_id,
                    tick,
                    model,
                    score["score"],
                    band,
                    trend,
                    score["coverage"],
                    number_array(score["contributions"]),
                    number_array(score["signal_values"]),
                    partition,
                    position,
                    # A record without them is an older writer's.
                    score.get("adjustment", 0),
                    score.get("segment", EVERYONE),
                    number_array(map(_status_code, score.get("statuses", ()))),
                    *freshness,
                )
    _add_watermark(rows, HEALTH_SCORES, partition, record, position)


_POSITION = tuple(_SCORE_COLUMNS).index("position")

_status_code = {name: code for code, name in enumerate(STATUSES)}.__getitem__


def _add_watermark(rows: Rows, topic: str, partition: int, record: Mapping[str, Any], position: int) -> None:
    held = rows["watermarks"]
    present = held.get((topic, partition))
    if present is None or present[-1] < position:
        held[(topic, partition)] = (
            topic,
            partition,
            record["watermark"],
            record["sealed_through"],
            record["newest_ingested_at"],
            position,
        )


def _add_pipeline_counts(rows: Rows, record: Mapping[str, Any]) -> None:
    _add_counts(rows, record["stage"], record["name"], CONNECTOR_PARTITION, record["counts"], record["position"])


def _add_counts(
    rows: Rows, stage: str, name: str, partition: int, counts: Iterable[Mapping[str, Any]], position: int
) -> None:
    held = rows["pipeline_counts"]
    for count in counts:
        key = (stage, name, partition, count["kind"], count["fate"])
        present = held.get(key)
        if present is None or present[-1] < position:
            held[key] = (*key, count["count"], position)


def _add_result(rows: Rows, record: Mapping[str, Any]) -> None:
    if record["verdict"] not in VERDICTS:
        raise BadRecordError(f"{record['verdict']!r} is no verdict of a data quality check.")
    held = rows["quality_results"]
    key = (record["check"], record["source"], record["window_start"])
    revision = (record["version"], record["final"], record["position"])
    present = held.get(key)
    if present is None or present[-3:] < revision:
        held[key] = (*key, *(record[name] for name in _RESULT_FIELDS), *revision)


_RESULT_FIELDS = (
    "window_end",
    "kind",
    "severity",
    "verdict",
    "records",
    "flagged",
    "observed",
    "lower",
    "upper",
)


def _add_gates(rows: Rows, record: Mapping[str, Any], offset: int) -> None:
    """Steps of gates; the later record wins, as it does for scoring, which reads them in the same order."""
    held = rows["quality_gates"]
    for step in record["gates"]:
        key = (record["input_partition"], step["check"], step["source"], step["since"])
        metrics = "{" + ",".join(step["metrics"]) + "}"
        present = held.get(key)
        if present is None or present[-2:] <= (step["version"], offset):
            held[key] = (*key, step["closed"], metrics, step["version"], offset)


_ADD: Mapping[str, Callable[[Rows, Mapping[str, Any]], None]] = MappingProxyType(
    {
        ACCOUNTS: _add_profile,
        METRICS_VALUES: _add_metric_values,
        HEALTH_SCORES: _add_scores,
        PIPELINE_COUNTS: _add_pipeline_counts,
        IDENTITIES: _add_alias,
        QUALITY_RESULTS: _add_result,
        EVENTS_CRM: _add_event,
        EVENTS_BILLING: _add_event,
    }
)

"""The catalogue compiled to DuckDB SQL: what a batch of fresh events adds to the open windows of one topic and grain.

All metrics of a topic are columns of one table, so that a batch is read once and a window is found once, however many
metrics there are. `inputs` evaluates every metric's condition and measure; `partial` aggregates them by window;
`changed` adds what was known and holds the absolute values of the windows that changed (null where a metric did not);
`merge` writes them back. Revision and seal are the caller's.
"""

from dataclasses import dataclass
from functools import cache

import ibis
from ibis.expr import datatypes, operations

from metrics.catalogue import metrics_of
from metrics.contract import EVENTS, GRAINS, Grain, Metric
from metrics.windows import measured

KEY = "partition, account_id, window_start"
VALUE = "DECIMAL(38,6)"


@dataclass(frozen=True)
class GrainStatements:
    """What folds the table `inputs` into the windows of one grain. The member statements are empty without a distinct
    metric.
    """

    grain: Grain
    metrics: tuple[str, ...]
    windows: str
    windows_columns: str
    members: str
    members_columns: str
    fresh_members: str
    keep_members: str
    partial: str
    changed: str
    merge: str
    published: str


@dataclass(frozen=True)
class TopicStatements:
    """What folds a batch of one topic. `properties` are the names that its metrics look up."""

    properties: tuple[str, ...]
    inputs: str
    grains: tuple[GrainStatements, ...]


@cache
def compiled(topic: str) -> TopicStatements:
    """The statements of every metric of a topic."""
    metrics = metrics_of(topic)
    properties = tuple(sorted(set().union(*map(property_names, metrics))))
    return TopicStatements(
        properties,
        _inputs(metrics, properties),
        tuple(
            _statements(topic, grain, chosen)
            for grain in GRAINS
            if (chosen := tuple(metric for metric in metrics if grain in metric.grains))
        ),
    )


def property_names(metric: Metric) -> set[str]:
    """Names of the properties that a metric looks up, so that only these are taken from a batch, as columns.

    Raises:
        ValueError: it reads properties otherwise than by `properties["name"]`.
    """
    expression = measured(metric, EVENTS).op()
    lookups = expression.find(operations.MapGet)
    others = expression.find(
        lambda node: not isinstance(node, operations.MapGet) and any(map(_is_properties, node.__args__))
    )
    if others or not all(isinstance(lookup.key, operations.Literal) for lookup in lookups):
        raise ValueError(f'Metric {metric.name}: properties are looked up by name only, as in properties["seats"].')
    return {lookup.key.value for lookup in lookups}


def _is_properties(node: object) -> bool:
    return isinstance(node, operations.Field) and node.name == "properties"


def _inputs(metrics: tuple[Metric, ...], properties: tuple[str, ...]) -> str:
    columns = dict(EVENTS.schema().items()) | {"partition": datatypes.int16, "counted": datatypes.boolean}
    # As a struct, a property is a column; a map would be searched for every event and metric.
    columns["properties"] = datatypes.Struct(dict.fromkeys(properties or ("none",), datatypes.string))
    incoming = ibis.table(columns, name="incoming")
    counted = incoming.filter(incoming.counted)
    measures = {metric.name: measured(metric, counted) for metric in metrics}
    identifiers = ["account_id", "event_id"] if any(metric.merge == "last" for metric in metrics) else ["account_id"]
    selected = counted.select("partition", *identifiers, "event_time", **measures)
    return f"""
CREATE OR REPLACE TEMP TABLE inputs AS
SELECT * REPLACE ({", ".join(f"{name}::UUID AS {name}" for name in identifiers)})
FROM ({ibis.to_sql(selected, dialect="duckdb")})
"""


def _statements(topic: str, grain: Grain, metrics: tuple[Metric, ...]) -> GrainStatements:
    domain = topic.rpartition(".")[2]
    windows, members = f"windows_{domain}_{grain}", f"members_{domain}_{grain}"
    distinct = [metric for metric in metrics if metric.merge == "distinct"]
    stored = [column for metric in metrics for column in _stored(metric)]
    return GrainStatements(
        grain=grain,
        metrics=tuple(metric.name for metric in metrics),
        windows=windows,
        windows_columns="partition SMALLINT, account_id UUID, window_start TIMESTAMP, changed_in BIGINT, "
        + ", ".join(f"{name} {kind}" for name, kind in stored),
        members=members if distinct else "",
        members_columns="partition SMALLINT, account_id UUID, window_start TIMESTAMP, changed_in BIGINT, "
        "metric UTINYINT, member VARCHAR",
        fresh_members=_fresh_members(members, grain, distinct) if distinct else "",
        keep_members=f"""
INSERT INTO {members} SELECT {KEY}, ? AS changed_in, metric, member FROM fresh_members
""",
        partial=_partial(grain, metrics, distinct),
        changed=_changed(windows, metrics),
        merge=f"""
MERGE INTO {windows} AS known USING changed ON known.partition = changed.partition
    AND known.account_id = changed.account_id AND known.window_start = changed.window_start
WHEN MATCHED THEN UPDATE SET changed_in = $fold, {
            ", ".join(f"{name} = coalesce(changed.{name}, known.{name})" for name, _ in stored)
        }
WHEN NOT MATCHED THEN INSERT ({KEY}, changed_in, {", ".join(name for name, _ in stored)})
    VALUES (changed.partition, changed.account_id, changed.window_start, $fold, {
            ", ".join(f"changed.{name}" for name, _ in stored)
        })
""",
        published=f"""
SELECT partition, account_id::VARCHAR AS account_id, epoch_us(window_start) AS window_start, {
            ", ".join(_quoted(metric.name) for metric in metrics)
        } FROM changed ORDER BY partition, account_id, window_start
""",
    )


def _quoted(name: str, part: str = "") -> str:
    return f'"{name}{part}"'


def _stored(metric: Metric) -> list[tuple[str, str]]:
    """Columns of a metric's windows. The newest value is kept with its event's time and id."""
    columns = [(_quoted(metric.name), VALUE)]
    if metric.merge == "last":
        columns += [(_quoted(metric.name, "|time"), "TIMESTAMP"), (_quoted(metric.name, "|id"), "UUID")]
    return columns


def _fresh_members(members: str, grain: Grain, distinct: list[Metric]) -> str:
    found = " UNION ALL ".join(
        f"SELECT partition, account_id, date_trunc('{grain}', event_time) AS window_start, "
        f"{number}::UTINYINT AS metric, {name} AS member FROM inputs WHERE {name} IS NOT NULL"
        for number, name in enumerate(_quoted(metric.name) for metric in distinct)
    )
    # Joined, then left out: so the small side is what is hashed. An anti-join hashes all the members that are known.
    return f"""
CREATE OR REPLACE TEMP TABLE found AS SELECT DISTINCT * FROM ({found});
CREATE OR REPLACE TEMP TABLE fresh_members AS SELECT * FROM found WHERE rowid NOT IN (
    SELECT found.rowid FROM {members} JOIN found USING (partition, account_id, window_start, metric, member)
)
"""


def _partial(grain: Grain, metrics: tuple[Metric, ...], distinct: list[Metric]) -> str:
    aggregated = [each for metric in metrics if metric.merge != "distinct" for each in _aggregates(metric)]
    grouped = ", ".join(["partition", "account_id", f"date_trunc('{grain}', event_time) AS window_start", *aggregated])
    query = f"SELECT {grouped} FROM inputs GROUP BY ALL"
    if distinct:
        counted = ", ".join(
            f"nullif(count(*) FILTER (metric = {number}), 0)::{VALUE} AS {_quoted(metric.name)}"
            for number, metric in enumerate(distinct)
        )
        query = f"""
SELECT * FROM ({query}) LEFT JOIN (SELECT {KEY}, {counted} FROM fresh_members GROUP BY ALL) USING ({KEY})
"""
    return f"CREATE OR REPLACE TEMP TABLE partial AS {query}"


def _aggregates(metric: Metric) -> list[str]:
    name = _quoted(metric.name)
    if metric.merge == "count":
        return [f"nullif(count({name}), 0)::{VALUE} AS {name}"]
    if metric.merge == "last":
        newest = f"FILTER (WHERE {name} IS NOT NULL)"
        order = "(event_time, event_id)"
        return [
            f"arg_max({name}, {order}) {newest} AS {name}",
            f"max(event_time) {newest} AS {_quoted(metric.name, '|time')}",
            f"arg_max(event_id, {order}) {newest} AS {_quoted(metric.name, '|id')}",
        ]
    return [f"{metric.merge}({name})::{VALUE} AS {name}"]


def _changed(windows: str, metrics: tuple[Metric, ...]) -> str:
    columns = ", ".join(each for metric in metrics for each in _merged(metric))
    any_changed = " OR ".join(f"{_quoted(metric.name)} IS NOT NULL" for metric in metrics)
    return f"""
CREATE OR REPLACE TEMP TABLE changed AS
SELECT * FROM (
    SELECT {KEY}, {columns} FROM partial LEFT JOIN {windows} AS known USING ({KEY})
) WHERE {any_changed}
"""


def _merged(metric: Metric) -> list[str]:
    name = _quoted(metric.name)
    if metric.merge == "last":
        time, identifier = _quoted(metric.name, "|time"), _quoted(metric.name, "|id")
        newer = f"known.{time} IS NULL OR (partial.{time}, partial.{identifier}) > (known.{time}, known.{identifier})"
        return [f"CASE WHEN {newer} THEN partial.{column} END AS {column}" for column in (name, time, identifier)]
    merged = {
        "min": f"least(partial.{name}, known.{name})",
        "max": f"greatest(partial.{name}, known.{name})",
    }.get(metric.merge, f"partial.{name} + coalesce(known.{name}, 0)")
    return [f"CASE WHEN partial.{name} IS NOT NULL THEN ({merged})::{VALUE} END AS {name}"]

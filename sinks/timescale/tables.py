"""The schema's single source: tables, keys, indexes and views of PostgreSQL (docs/design/0001).

Migrations are proven equal to this metadata. Instants are UTC; amounts are exact decimals or integers in 10^-6 units,
never binary floats, because sums of those depend on the order.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from sinks.timescale import profile_queries

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_index",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
    }
)

_instant = DateTime(timezone=True)

account_profiles = Table(
    "account_profiles",
    metadata,
    Column("account_id", Uuid, nullable=False),
    Column("valid_from", _instant, nullable=False, comment="Source time from which this version holds."),
    Column("crm_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("segment", Text),
    Column("owner", Text),
    Column("region", Text),
    Column("plan", Text),
    Column("created_at", _instant, nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    Column("source", Text, comment="Connector that told it; null where that was not kept yet."),
    Column("arr", Numeric(38, 6), comment="Annual recurring revenue in major units of arr_currency."),
    Column("arr_currency", Text),
    Column("time_zone", Text, comment="IANA name."),
    Column("renewal_date", Date),
    Column("domain", Text),
    Column("parent_id", Uuid, comment="The account above it."),
    PrimaryKeyConstraint("account_id", "valid_from"),
)

account_contracts = Table(
    "account_contracts",
    metadata,
    Column("account_id", Uuid, nullable=False),
    Column("domain", Text, nullable=False, comment="Of the events topic that told it: crm or billing."),
    Column("contract", Text, nullable=False, comment="Its id; empty where the source knows one an account."),
    Column("valid_from", _instant, nullable=False, comment="Source time from which these terms hold."),
    Column("source", Text, nullable=False),
    Column("annual_value", Numeric(38, 6), comment="Major units of the currency for a year; 0 when it has ended."),
    Column("currency", Text),
    Column("starts", Date),
    Column("ends", Date, comment="First day that is not part of the term."),
    Column("notice_days", Integer),
    Column("auto_renew", Boolean),
    PrimaryKeyConstraint("account_id", "domain", "contract", "valid_from"),
)

account_aliases = Table(
    "account_aliases",
    metadata,
    Column("account_id", Uuid, primary_key=True, comment="The merged account."),
    Column("surviving_id", Uuid, nullable=False),
    Column("valid_from", _instant, nullable=False, comment="Source time from which events are the surviving one's."),
    Column("source", Text, nullable=False),
    Column("withdrawn", Boolean, nullable=False, server_default=text("false")),
    Index(None, "surviving_id"),
)

metric_values = Table(
    "metric_values",
    metadata,
    Column("account_id", Uuid, nullable=False),
    Column("metric", Text, nullable=False),
    Column("grain", Text, nullable=False),
    Column("window_start", _instant, nullable=False),
    Column("value", Numeric(38, 6), nullable=False, comment="Absolute value of the window, in the metric's unit."),
    Column("partition", SmallInteger, nullable=False),
    # The revision, most significant first: the greater one wins.
    Column("definition_version", Integer, nullable=False),
    Column("rank", SmallInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    # Ends in the window, so "newest first" is a backward scan of it.
    PrimaryKeyConstraint("account_id", "metric", "grain", "window_start"),
    Index(None, "account_id", "window_start"),
)


def _score_columns() -> list[Column[object]]:
    return [
        Column("account_id", Uuid, nullable=False),
        Column("tick", _instant, nullable=False),
        Column("model", Text, nullable=False),
        Column("score", BigInteger, comment="10^-6 points; null where no signal applies."),
        Column("band", Text, nullable=False),
        Column("trend", Text, nullable=False),
        Column("coverage", BigInteger, nullable=False, comment="10^-6."),
        Column("contributions", ARRAY(BigInteger), nullable=False, comment="10^-6 points, by the model's signals."),
        Column("signal_values", ARRAY(Double), nullable=False),
        Column("partition", SmallInteger, nullable=False),
        Column("position", BigInteger, nullable=False),
        Column(
            "adjustment",
            BigInteger,
            nullable=False,
            server_default=text("0"),
            comment="10^-6 points that overrides add to the contributions.",
        ),
        Column(
            "segment",
            Text,
            nullable=False,
            server_default=text("'everyone'"),
            comment="Segment of the model whose weights were used.",
        ),
        Column(
            "statuses",
            ARRAY(SmallInteger),
            nullable=False,
            server_default=text("'{}'"),
            comment="By the model's signals: 0 not applicable, 1 missing, 2 stale, 3 fresh; empty where not kept yet.",
        ),
    ]


health_scores = Table(
    "health_scores",
    metadata,
    *_score_columns(),
    PrimaryKeyConstraint("account_id", "model", "tick"),
    # The portfolio's history: all accounts of some ticks.
    Index(None, "tick", "model"),
)

health_live = Table(
    "health_live",
    metadata,
    *_score_columns(),
    Column("newest_ingested_at", _instant),
    Column("watermark", _instant),
    PrimaryKeyConstraint("account_id", "model"),
    Index(None, "partition"),
)

health_models = Table(
    "health_models",
    metadata,
    Column("model", Text, primary_key=True),
    Column("definition", JSONB, nullable=False, comment="The parsed YAML."),
)

watermarks = Table(
    "watermarks",
    metadata,
    Column("input_topic", Text, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("watermark", _instant),
    Column("sealed_through", _instant),
    Column("newest_ingested_at", _instant),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("input_topic", "partition"),
)

pipeline_counts = Table(
    "pipeline_counts",
    metadata,
    Column("stage", Text, nullable=False, comment="connector or rollup."),
    Column("name", Text, nullable=False, comment="Stream, or events topic."),
    Column("partition", SmallInteger, nullable=False, comment="-1 for connectors."),
    Column("kind", Text, nullable=False),
    Column("fate", Text, nullable=False),
    Column("count", BigInteger, nullable=False, comment="Absolute."),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("stage", "name", "partition", "kind", "fate"),
)

quality_results = Table(
    "quality_results",
    metadata,
    Column("check_name", Text, nullable=False),
    Column("source", Text, nullable=False, comment="Connector; for freshness the stream; all where about several."),
    Column("window_start", _instant, nullable=False),
    Column("window_end", _instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("verdict", Text, nullable=False, comment="passed, failed or not_enough_data."),
    Column("records", BigInteger, nullable=False, comment="Examined."),
    Column("flagged", BigInteger, nullable=False, comment="Of them, not as they should be."),
    Column("observed", Double, comment="Share, events, divergence or seconds."),
    Column("lower_bound", Double),
    Column("upper_bound", Double),
    # The revision, most significant first: the greater one wins.
    Column("version", Integer, nullable=False),
    Column("final", Boolean, nullable=False, comment="Whether the window is closed."),
    Column("position", BigInteger, nullable=False),
    PrimaryKeyConstraint("check_name", "source", "window_start"),
    Index(None, "window_start"),
)

quality_gates = Table(
    "quality_gates",
    metadata,
    Column("partition", SmallInteger, nullable=False),
    Column("check_name", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("since", _instant, nullable=False, comment="From here on, until the next step of check and source."),
    Column("closed", Boolean, nullable=False),
    Column("metrics", ARRAY(Text), nullable=False),
    Column("version", Integer, nullable=False, comment="Steps of a greater one replace all of an older one."),
    Column("position", BigInteger, nullable=False, comment="Offset in metrics.values."),
    PrimaryKeyConstraint("partition", "check_name", "source", "since"),
)

sink_offsets = Table(
    "sink_offsets",
    metadata,
    Column("sink", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False, comment="First offset that is not in the tables."),
    PrimaryKeyConstraint("sink", "topic", "partition"),
)

users = Table(
    "users",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("password_hash", Text, comment="argon2; null until the first password is set."),
    Column("role", Text, nullable=False),
    Column("created_at", _instant, nullable=False, server_default=text("now()")),
    UniqueConstraint("email"),
)

one_time_links = Table(
    "one_time_links",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", _instant, nullable=False),
    Column("used_at", _instant),
)

VIEWS = {"accounts": profile_queries.ACCOUNTS}
"""Views by name, with the query of each."""

FUNCTIONS = {"account_profile_at": (profile_queries.PROFILE_AT_SIGNATURE, profile_queries.PROFILE_AT)}
"""Functions by name, with the signature and the body of each."""

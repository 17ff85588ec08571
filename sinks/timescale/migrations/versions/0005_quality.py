"""Results of data quality checks as time series, and the steps of their gates."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# A migration is history: it does not import the metadata, which moves on.
TABLES = (
    """
create table quality_results (
    check_name text not null,
    source text not null,
    window_start timestamptz not null,
    window_end timestamptz not null,
    kind text not null,
    severity text not null,
    verdict text not null,
    records bigint not null,
    flagged bigint not null,
    observed double precision,
    lower_bound double precision,
    upper_bound double precision,
    version integer not null,
    final boolean not null,
    position bigint not null,
    primary key (check_name, source, window_start)
)
""",
    """
comment on column quality_results.source is 'Connector; for freshness the stream; all where about several.'
""",
    "comment on column quality_results.verdict is 'passed, failed or not_enough_data.'",
    "comment on column quality_results.records is 'Examined.'",
    "comment on column quality_results.flagged is 'Of them, not as they should be.'",
    "comment on column quality_results.observed is 'Share, events, divergence or seconds.'",
    "comment on column quality_results.final is 'Whether the window is closed.'",
    "create index quality_results_window_start_index on quality_results (window_start)",
    """
create table quality_gates (
    partition smallint not null,
    check_name text not null,
    source text not null,
    since timestamptz not null,
    closed boolean not null,
    metrics text[] not null,
    version integer not null,
    position bigint not null,
    primary key (partition, check_name, source, since)
)
""",
    "comment on column quality_gates.since is 'From here on, until the next step of check and source.'",
    "comment on column quality_gates.version is 'Steps of a greater one replace all of an older one.'",
    "comment on column quality_gates.position is 'Offset in metrics.values.'",
)

# Some dozens of rows a day: chunks of a year keep them few.
HYPERTABLE = """
select create_hypertable('quality_results', 'window_start', chunk_time_interval => interval '365 days',
                         create_default_indexes => false)
"""


def upgrade() -> None:
    """Makes both tables; the results a hypertable where there is TimescaleDB."""
    for statement in TABLES:
        op.execute(statement)
    if _has_timescale():
        op.execute(HYPERTABLE)


def _has_timescale() -> bool:
    found = op.get_bind().exec_driver_sql("select 1 from pg_extension where extname = 'timescaledb'")
    return found.first() is not None

"""Tables of the first cut: hypertables with TimescaleDB, plain tables and a `time_bucket` function without it."""

import structlog
from alembic import op
from sqlalchemy import text

from sinks.timescale.extension import license_of, prepare_extension

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

log = structlog.get_logger()

# A migration is history: it does not import the metadata, which moves on.
TABLES = """
create table account_profiles (
    account_id uuid not null,
    valid_from timestamptz not null,
    crm_id text not null,
    name text not null,
    segment text,
    owner text,
    region text,
    plan text,
    created_at timestamptz not null,
    deleted boolean not null default false,
    primary key (account_id, valid_from)
);
comment on column account_profiles.valid_from is 'Source time from which this version holds.';

create view accounts as
    select distinct on (account_id)
           account_id, valid_from, crm_id, name, segment, owner, region, plan, created_at, deleted
      from account_profiles
     order by account_id, valid_from desc;

create table metric_values (
    account_id uuid not null,
    metric text not null,
    grain text not null,
    window_start timestamptz not null,
    value numeric(38, 6) not null,
    partition smallint not null,
    definition_version integer not null,
    rank smallint not null,
    position bigint not null,
    primary key (account_id, metric, grain, window_start)
);
comment on column metric_values.value is 'Absolute value of the window, in the metric''s unit.';
create index metric_values_account_id_window_start_index on metric_values (account_id, window_start);

create table health_scores (
    account_id uuid not null,
    tick timestamptz not null,
    model text not null,
    score bigint,
    band text not null,
    trend text not null,
    coverage bigint not null,
    contributions bigint[] not null,
    signal_values double precision[] not null,
    partition smallint not null,
    position bigint not null,
    primary key (account_id, model, tick)
);
comment on column health_scores.score is '10^-6 points; null where no signal applies.';
comment on column health_scores.coverage is '10^-6.';
comment on column health_scores.contributions is '10^-6 points, by the model''s signals.';
create index health_scores_tick_model_index on health_scores (tick, model);

create table health_live (
    account_id uuid not null,
    tick timestamptz not null,
    model text not null,
    score bigint,
    band text not null,
    trend text not null,
    coverage bigint not null,
    contributions bigint[] not null,
    signal_values double precision[] not null,
    partition smallint not null,
    position bigint not null,
    newest_ingested_at timestamptz,
    watermark timestamptz,
    primary key (account_id, model)
);
comment on column health_live.score is '10^-6 points; null where no signal applies.';
comment on column health_live.coverage is '10^-6.';
comment on column health_live.contributions is '10^-6 points, by the model''s signals.';
create index health_live_partition_index on health_live (partition);

create table health_models (
    model text primary key,
    definition jsonb not null
);
comment on column health_models.definition is 'The parsed YAML.';

create table watermarks (
    input_topic text not null,
    partition smallint not null,
    watermark timestamptz,
    sealed_through timestamptz,
    newest_ingested_at timestamptz,
    position bigint not null,
    primary key (input_topic, partition)
);

create table pipeline_counts (
    stage text not null,
    name text not null,
    partition smallint not null,
    kind text not null,
    fate text not null,
    count bigint not null,
    position bigint not null,
    primary key (stage, name, partition, kind, fate)
);
comment on column pipeline_counts.stage is 'connector or rollup.';
comment on column pipeline_counts.name is 'Stream, or events topic.';
comment on column pipeline_counts.partition is '-1 for connectors.';
comment on column pipeline_counts.count is 'Absolute.';

create table sink_offsets (
    sink text not null,
    topic text not null,
    partition smallint not null,
    next_offset bigint not null,
    primary key (sink, topic, partition)
);
comment on column sink_offsets.next_offset is 'First offset that is not in the tables.';

create table users (
    user_id uuid primary key,
    email text not null,
    password_hash text,
    role text not null,
    created_at timestamptz not null default now(),
    unique (email)
);
comment on column users.password_hash is 'argon2; null until the first password is set.';

create table one_time_links (
    token_hash text primary key,
    user_id uuid not null references users (user_id) on delete cascade,
    expires_at timestamptz not null,
    used_at timestamptz
);
"""

# Chunks of a quarter: ten years are 40 of them, few enough to plan over, and the newest stays in memory.
HYPERTABLES = """
select create_hypertable('metric_values', 'window_start', chunk_time_interval => interval '90 days',
                         create_default_indexes => false);
select create_hypertable('health_scores', 'tick', chunk_time_interval => interval '90 days',
                         create_default_indexes => false);
"""

# Rows are rewritten until their day seals, days after it; half a year on, only reconciliation still does. Nothing is
# dropped by age: day windows and score history are what the product shows, and chunks cannot be dropped by grain.
COMPRESSION = """
alter table metric_values set (timescaledb.compress, timescaledb.compress_segmentby = 'account_id',
                               timescaledb.compress_orderby = 'metric, grain, window_start');
select add_compression_policy('metric_values', compress_after => interval '180 days');
alter table health_scores set (timescaledb.compress, timescaledb.compress_segmentby = 'account_id, model',
                               timescaledb.compress_orderby = 'tick');
select add_compression_policy('health_scores', compress_after => interval '180 days');
"""

# As TimescaleDB's: UTC, weeks start on Monday (2000-01-03), months count from 2000-01. date_bin refuses months.
TIME_BUCKET = """
create function time_bucket(bucket_width interval, ts timestamptz) returns timestamptz
    language sql immutable strict parallel safe
    return case
        when extract(year from bucket_width) * 12 + extract(month from bucket_width) = 0 then
            date_bin(bucket_width, ts, timestamptz '2000-01-03 00:00:00+00')
        else
            (timestamp '2000-01-01' + make_interval(months => (
                floor(((extract(year from ts at time zone 'UTC') - 2000) * 12
                        + extract(month from ts at time zone 'UTC') - 1)
                      / (extract(year from bucket_width) * 12 + extract(month from bucket_width)))
                * (extract(year from bucket_width) * 12 + extract(month from bucket_width))
            )::int)) at time zone 'UTC'
        end
"""


def upgrade() -> None:
    """Makes every table, view and policy."""
    connection = op.get_bind()
    has_extension = prepare_extension(connection)
    _run(TABLES)
    if not has_extension:
        connection.execute(text(TIME_BUCKET))
        log.info("no TimescaleDB here: plain tables")
        return
    _run(HYPERTABLES)
    # Compression and policies are not in the Apache-licensed build of TimescaleDB.
    if license_of(connection) == "timescale":
        _run(COMPRESSION)


def _run(statements: str) -> None:
    for statement in statements.split(";\n"):
        if statement.strip():
            op.execute(statement)

-- Statements of the sink, by name. Columns arrive as one array literal each; unnest makes rows of them again.
-- Every upsert keeps the greater revision; an equal one is the same value, so it is not written again.

-- name: claim_offsets
insert into sink_offsets (sink, topic, partition, next_offset)
select %(sink)s, topic, partition, lowest
  from unnest(%(topics)s::text[], %(partitions)s::smallint[], %(lowest)s::bigint[]) as s (topic, partition, lowest)
    on conflict (sink, topic, partition) do nothing;

-- name: read_offsets
select o.topic, o.partition, o.next_offset
  from sink_offsets o
  join unnest(%(topics)s::text[], %(partitions)s::smallint[]) as s (topic, partition) using (topic, partition)
 where o.sink = %(sink)s;

-- name: move_offsets
update sink_offsets o
   set next_offset = s.next_offset
  from unnest(%(topics)s::text[], %(partitions)s::smallint[], %(expected)s::bigint[], %(next_offsets)s::bigint[])
       as s (topic, partition, expected, next_offset)
 where o.sink = %(sink)s
   and o.topic = s.topic
   and o.partition = s.partition
   and o.next_offset = s.expected;

-- name: upsert_account_profiles
insert into account_profiles as held
       (account_id, valid_from, crm_id, name, segment, owner, region, plan, created_at, deleted, source, arr,
        arr_currency, time_zone, renewal_date, domain, parent_id)
select * from unnest(%(account_id)s::uuid[], %(valid_from)s::timestamptz[], %(crm_id)s::text[], %(name)s::text[],
                     %(segment)s::text[], %(owner)s::text[], %(region)s::text[], %(plan)s::text[],
                     %(created_at)s::timestamptz[], %(deleted)s::boolean[], %(source)s::text[], %(arr)s::numeric[],
                     %(arr_currency)s::text[], %(time_zone)s::text[], %(renewal_date)s::date[], %(domain)s::text[],
                     %(parent_id)s::uuid[])
    on conflict (account_id, valid_from) do update
   set crm_id = excluded.crm_id, name = excluded.name, segment = excluded.segment, owner = excluded.owner,
       region = excluded.region, plan = excluded.plan, created_at = excluded.created_at, deleted = excluded.deleted,
       source = excluded.source, arr = excluded.arr, arr_currency = excluded.arr_currency,
       time_zone = excluded.time_zone, renewal_date = excluded.renewal_date, domain = excluded.domain,
       parent_id = excluded.parent_id;

-- name: upsert_account_contracts
insert into account_contracts as held
       (account_id, domain, contract, valid_from, source, annual_value, currency, starts, ends, notice_days, auto_renew)
select * from unnest(%(account_id)s::uuid[], %(domain)s::text[], %(contract)s::text[], %(valid_from)s::timestamptz[],
                     %(source)s::text[], %(annual_value)s::numeric[], %(currency)s::text[], %(starts)s::date[],
                     %(ends)s::date[], %(notice_days)s::integer[], %(auto_renew)s::boolean[])
    on conflict (account_id, domain, contract, valid_from) do update
   set source = excluded.source, annual_value = excluded.annual_value, currency = excluded.currency,
       starts = excluded.starts, ends = excluded.ends, notice_days = excluded.notice_days,
       auto_renew = excluded.auto_renew;

-- name: upsert_account_aliases
insert into account_aliases as held (account_id, surviving_id, valid_from, source, withdrawn)
select * from unnest(%(account_id)s::uuid[], %(surviving_id)s::uuid[], %(valid_from)s::timestamptz[],
                     %(source)s::text[], %(withdrawn)s::boolean[])
    on conflict (account_id) do update
   set surviving_id = excluded.surviving_id, valid_from = excluded.valid_from, source = excluded.source,
       withdrawn = excluded.withdrawn;

-- name: upsert_metric_values
insert into metric_values as held
       (account_id, metric, grain, window_start, value, partition, definition_version, rank, position)
select * from unnest(%(account_id)s::uuid[], %(metric)s::text[], %(grain)s::text[], %(window_start)s::timestamptz[],
                     %(value)s::numeric[], %(partition)s::smallint[], %(definition_version)s::integer[],
                     %(rank)s::smallint[], %(position)s::bigint[])
    on conflict (account_id, metric, grain, window_start) do update
   set value = excluded.value, partition = excluded.partition, definition_version = excluded.definition_version,
       rank = excluded.rank, position = excluded.position
 where (excluded.definition_version, excluded.rank, excluded.position)
       > (held.definition_version, held.rank, held.position);

-- name: upsert_health_scores
insert into health_scores as held
       (account_id, tick, model, score, band, trend, coverage, contributions, signal_values, partition, position,
        adjustment, segment, statuses)
select account_id, tick, model, score, band, trend, coverage, contributions::bigint[], signal_values::float8[],
       partition, position, adjustment, segment, statuses::smallint[]
  from unnest(%(account_id)s::uuid[], %(tick)s::timestamptz[], %(model)s::text[], %(score)s::bigint[], %(band)s::text[],
              %(trend)s::text[], %(coverage)s::bigint[], %(contributions)s::text[], %(signal_values)s::text[],
              %(partition)s::smallint[], %(position)s::bigint[], %(adjustment)s::bigint[], %(segment)s::text[],
              %(statuses)s::text[])
       as s (account_id, tick, model, score, band, trend, coverage, contributions, signal_values, partition, position,
             adjustment, segment, statuses)
    on conflict (account_id, model, tick) do update
   set score = excluded.score, band = excluded.band, trend = excluded.trend, coverage = excluded.coverage,
       contributions = excluded.contributions, signal_values = excluded.signal_values, partition = excluded.partition,
       position = excluded.position, adjustment = excluded.adjustment, segment = excluded.segment,
       statuses = excluded.statuses
 where excluded.position > held.position;

-- name: upsert_health_live
insert into health_live as held
       (account_id, tick, model, score, band, trend, coverage, contributions, signal_values, partition, position,
        adjustment, segment, statuses, newest_ingested_at, watermark)
select account_id, tick, model, score, band, trend, coverage, contributions::bigint[], signal_values::float8[],
       partition, position, adjustment, segment, statuses::smallint[], newest_ingested_at, watermark
  from unnest(%(account_id)s::uuid[], %(tick)s::timestamptz[], %(model)s::text[], %(score)s::bigint[], %(band)s::text[],
              %(trend)s::text[], %(coverage)s::bigint[], %(contributions)s::text[], %(signal_values)s::text[],
              %(partition)s::smallint[], %(position)s::bigint[], %(adjustment)s::bigint[], %(segment)s::text[],
              %(statuses)s::text[], %(newest_ingested_at)s::timestamptz[], %(watermark)s::timestamptz[])
       as s (account_id, tick, model, score, band, trend, coverage, contributions, signal_values, partition, position,
             adjustment, segment, statuses, newest_ingested_at, watermark)
    on conflict (account_id, model) do update
   set tick = excluded.tick, score = excluded.score, band = excluded.band, trend = excluded.trend,
       coverage = excluded.coverage, contributions = excluded.contributions, signal_values = excluded.signal_values,
       partition = excluded.partition, position = excluded.position, adjustment = excluded.adjustment,
       segment = excluded.segment, statuses = excluded.statuses,
       newest_ingested_at = excluded.newest_ingested_at, watermark = excluded.watermark
 where excluded.position > held.position;

-- name: upsert_watermarks
insert into watermarks as held (input_topic, partition, watermark, sealed_through, newest_ingested_at, position)
select * from unnest(%(input_topic)s::text[], %(partition)s::smallint[], %(watermark)s::timestamptz[],
                     %(sealed_through)s::timestamptz[], %(newest_ingested_at)s::timestamptz[], %(position)s::bigint[])
    on conflict (input_topic, partition) do update
   set watermark = excluded.watermark, sealed_through = excluded.sealed_through,
       newest_ingested_at = excluded.newest_ingested_at, position = excluded.position
 where excluded.position > held.position;

-- name: upsert_pipeline_counts
insert into pipeline_counts as held (stage, name, partition, kind, fate, count, position)
select * from unnest(%(stage)s::text[], %(name)s::text[], %(partition)s::smallint[], %(kind)s::text[],
                     %(fate)s::text[], %(count)s::bigint[], %(position)s::bigint[])
    on conflict (stage, name, partition, kind, fate) do update
   set count = excluded.count, position = excluded.position
 where excluded.position > held.position;

-- name: upsert_quality_results
insert into quality_results as held
       (check_name, source, window_start, window_end, kind, severity, verdict, records, flagged, observed, lower_bound,
        upper_bound, version, final, position)
select * from unnest(%(check_name)s::text[], %(source)s::text[], %(window_start)s::timestamptz[],
                     %(window_end)s::timestamptz[], %(kind)s::text[], %(severity)s::text[], %(verdict)s::text[],
                     %(records)s::bigint[], %(flagged)s::bigint[], %(observed)s::float8[], %(lower_bound)s::float8[],
                     %(upper_bound)s::float8[], %(version)s::integer[], %(final)s::boolean[], %(position)s::bigint[])
    on conflict (check_name, source, window_start) do update
   set window_end = excluded.window_end, kind = excluded.kind, severity = excluded.severity,
       verdict = excluded.verdict, records = excluded.records, flagged = excluded.flagged,
       observed = excluded.observed, lower_bound = excluded.lower_bound, upper_bound = excluded.upper_bound,
       version = excluded.version, final = excluded.final, position = excluded.position
 where (excluded.version, excluded.final, excluded.position) > (held.version, held.final, held.position);

-- name: upsert_quality_gates
insert into quality_gates as held (partition, check_name, source, since, closed, metrics, version, position)
select partition, check_name, source, since, closed, metrics::text[], version, position
  from unnest(%(partition)s::smallint[], %(check_name)s::text[], %(source)s::text[], %(since)s::timestamptz[],
              %(closed)s::boolean[], %(metrics)s::text[], %(version)s::integer[], %(position)s::bigint[])
       as s (partition, check_name, source, since, closed, metrics, version, position)
    on conflict (partition, check_name, source, since) do update
   set closed = excluded.closed, metrics = excluded.metrics, version = excluded.version, position = excluded.position
 where (excluded.version, excluded.position) > (held.version, held.position);

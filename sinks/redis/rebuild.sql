-- The state that PostgreSQL holds, read in one snapshot, from which Redis is filled when it is new or was flushed.

-- name: offsets
select topic, partition, next_offset from sink_offsets where sink = %(sink)s;

-- name: freshness
select partition, watermark, sealed_through, newest_ingested_at, position
  from watermarks
 where input_topic = 'health.scores' and partition = any(%(partitions)s::smallint[]);

-- name: live
-- One model an account, the one that was applied last.
select distinct on (account_id)
       account_id::text, tick, model, score, band, trend, coverage, contributions, signal_values, partition, position,
       adjustment, segment, statuses, newest_ingested_at, watermark
  from health_live
 where partition = any(%(partitions)s::smallint[])
 order by account_id, position desc, tick desc;

-- name: usage
-- By account and metric, because the key then leads straight to the newest day of each.
select account.account_id::text, m.partition, m.metric, m.window_start, m.value, m.definition_version, m.rank, m.position
  from (select account_id from account_profiles union select account_id from health_live) account
 cross join unnest(%(metrics)s::text[]) as wanted (metric)
 cross join lateral (
       select partition, metric, window_start, value, definition_version, rank, position
         from metric_values
        where account_id = account.account_id and metric = wanted.metric and grain = 'day'
        order by window_start desc
        limit 1) m
 where m.partition = any(%(partitions)s::smallint[]);

-- Values of an account and of those that were merged into it, window by window; `merge` is the metric's mergeable kind.
-- Distinct values cannot be united from their numbers: the greatest is what there were at least. Of last values the
-- account's own is the newer, because the others' events after the merge are its own.
with recursive merged (account_id) as (
    select %(account_id)s::uuid
     union
    select m.account_id
      from merged
      join account_aliases m on m.surviving_id = merged.account_id
     where not m.withdrawn
)
select v.window_start, v.metric,
       case %(merge)s
           when 'count' then sum(v.value)
           when 'sum' then sum(v.value)
           when 'min' then min(v.value)
           when 'last' then (array_agg(v.value order by v.account_id = %(account_id)s desc, v.account_id))[1]
           else max(v.value)
       end as value,
       (array_agg(v.partition order by v.account_id = %(account_id)s desc, v.account_id))[1] as partition,
       bool_and(coalesce(v.window_start + make_interval(secs => %(grain_seconds)s) <= w.sealed_through, false)) as sealed
  from merged
  join metric_values v using (account_id)
  left join watermarks w on w.input_topic = %(topic)s and w.partition = v.partition
 where v.metric = %(metric)s
   and v.grain = %(grain)s
   and (%(start)s::timestamptz is null or v.window_start >= %(start)s)
   and (%(end)s::timestamptz is null or v.window_start < %(end)s)
 group by v.window_start, v.metric
 order by v.window_start

select v.window_start, v.metric, v.value, v.partition,
       coalesce(v.window_start + make_interval(secs => %(grain_seconds)s) <= w.sealed_through, false) as sealed
  from metric_values v
  left join watermarks w on w.input_topic = %(topic)s and w.partition = v.partition
 where v.account_id = %(account_id)s
   and v.metric = %(metric)s
   and v.grain = %(grain)s
   and (%(start)s::timestamptz is null or v.window_start >= %(start)s)
   and (%(end)s::timestamptz is null or v.window_start < %(end)s)
 order by v.window_start

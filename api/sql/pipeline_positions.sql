-- Next offset of every partition that a worker reads. Scoring says of metrics.values how far it is.
select case when input_topic = 'health.scores' then 'scoring' else 'rollup' end as worker,
       case when input_topic = 'health.scores' then 'metrics.values' else input_topic end as topic,
       partition, position as next_offset
  from watermarks
union all
select 'sink ' || sink, topic, partition, next_offset
  from sink_offsets
 order by worker, topic, partition

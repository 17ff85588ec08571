select kind, stage, fate, sum(count)::bigint as count
  from pipeline_counts
 group by kind, stage, fate
 order by kind, stage, fate

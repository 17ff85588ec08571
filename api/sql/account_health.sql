select h.tick, h.score, h.band, h.trend, h.coverage, h.adjustment, h.segment as score_segment,
       w.sealed_through is null or h.tick > w.sealed_through as provisional
  from health_scores h
  left join watermarks w on w.input_topic = 'health.scores' and w.partition = h.partition
 where h.account_id = %(account_id)s
   and h.model = %(model)s
   and (%(start)s::timestamptz is null or h.tick >= %(start)s)
   and (%(end)s::timestamptz is null or h.tick < %(end)s)
 order by h.tick

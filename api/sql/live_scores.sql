select l.account_id::text as account_id, l.tick, l.score, l.band, l.trend, l.coverage, l.contributions, l.signal_values,
       l.adjustment, l.segment as score_segment, l.statuses, l.model, l.watermark, w.sealed_through, l.newest_ingested_at,
       l.position
  from health_live l
  left join watermarks w on w.input_topic = 'health.scores' and w.partition = l.partition
 where l.model = %(model)s

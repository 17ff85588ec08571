-- Of what scores hold; while there are no scores yet, of what metric values hold.
select coalesce(max(newest_ingested_at) filter (where input_topic = 'health.scores'),
                max(newest_ingested_at)) as newest_ingested_at
  from watermarks

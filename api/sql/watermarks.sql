select watermark, sealed_through, newest_ingested_at
  from watermarks
 where input_topic = %(topic)s
   and (%(partition)s::smallint is null or partition = %(partition)s)

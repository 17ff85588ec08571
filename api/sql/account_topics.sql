-- How far each events topic of a partition has told everything.
select input_topic as topic, watermark as complete_through
  from watermarks
 where partition = %(partition)s
   and watermark is not null

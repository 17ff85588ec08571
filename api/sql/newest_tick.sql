select max(tick) as tick
  from health_scores
 where model = %(model)s

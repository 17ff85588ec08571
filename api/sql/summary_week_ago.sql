select distinct tick - interval '7 days' as tick
  from health_live
 where model = %(model)s

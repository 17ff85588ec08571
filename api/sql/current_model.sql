select model
  from health_live
 order by position desc, model desc
 limit 1

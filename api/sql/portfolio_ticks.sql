select tick,
       count(score) as scored,
       sum(score)::bigint as score_sum,
       count(*) filter (where band = 'healthy') as healthy,
       count(*) filter (where band = 'watch') as watch,
       count(*) filter (where band = 'at_risk') as at_risk
  from health_scores
 where model = %(model)s
   and tick > %(after)s
   and tick <= %(newest)s
 group by tick
 order by tick

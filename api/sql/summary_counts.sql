select count(*) as accounts,
       count(l.score) as scored,
       sum(l.score)::bigint as score_sum,
       count(*) filter (where l.band = 'healthy') as healthy,
       count(*) filter (where l.band = 'watch') as watch,
       count(*) filter (where l.band = 'at_risk') as at_risk,
       count(*) filter (where coalesce(l.band, 'unknown') = 'unknown') as unknown,
       count(*) filter (where l.trend = 'down') as falling,
       count(*) filter (where l.trend = 'up') as rising
  from accounts a
  left join health_live l on l.account_id = a.account_id and l.model = %(model)s
 where not a.deleted
   and a.merged_into is null

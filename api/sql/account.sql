select a.account_id, a.crm_id, a.name, a.segment, a.owner, a.region, a.plan, a.created_at,
       a.arr, a.arr_currency, a.renewal_date, a.time_zone, a.domain, a.parent_id, a.sources,
       l.tick, l.score, coalesce(l.band, 'unknown') as band, coalesce(l.trend, 'flat') as trend, l.coverage, l.position,
       l.model, l.partition, l.contributions, l.signal_values,
       l.adjustment, l.segment as score_segment, l.statuses,
       m.definition, week.score as week_ago, month.score as month_ago
  from accounts a
  left join health_live l on l.account_id = a.account_id and l.model = %(model)s
  left join health_models m on m.model = l.model
  left join health_scores week
         on week.account_id = l.account_id and week.model = l.model and week.tick = l.tick - interval '7 days'
  left join health_scores month
         on month.account_id = l.account_id and month.model = l.model and month.tick = l.tick - interval '28 days'
 where a.account_id = %(account_id)s
   and not a.deleted
   and a.merged_into is null

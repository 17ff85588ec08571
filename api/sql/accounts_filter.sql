select a.account_id, a.name, a.segment, a.owner, a.region, a.plan,
       a.arr, a.arr_currency, a.renewal_date,
       l.tick, l.score, coalesce(l.band, 'unknown') as band, coalesce(l.trend, 'flat') as trend, l.coverage, l.position,
       l.adjustment, l.segment as score_segment, l.model
  from accounts a
  left join health_live l on l.account_id = a.account_id and l.model = %(model)s
 where not a.deleted
   and a.merged_into is null
   and (%(band)s::text is null or coalesce(l.band, 'unknown') = %(band)s)
   and (%(segment)s::text is null or a.segment = %(segment)s)
   and (%(owner)s::text is null or a.owner = %(owner)s)
   and (%(pattern)s::text is null or a.name ilike %(pattern)s or a.crm_id ilike %(pattern)s)

with page as (
    select a.account_id, a.name, a.segment, a.owner, a.region, a.plan,
           a.arr, a.arr_currency, a.renewal_date,
           l.tick, l.score, l.band, l.trend, l.coverage, l.position, l.adjustment, l.segment as score_segment, l.model
      from health_live l
      join accounts a on a.account_id = l.account_id and not a.deleted and a.merged_into is null
     where l.model = %(model)s
       and l.score is not null
     order by l.score, l.account_id
     limit 5
)

with page as (
    select a.account_id, a.name, a.segment, a.owner, a.region, a.plan,
           a.arr, a.arr_currency, a.renewal_date,
           l.tick, l.score, l.band, l.trend, l.coverage, l.position, l.adjustment, l.segment as score_segment, l.model
      from health_live l
      join health_scores earlier
             on earlier.account_id = l.account_id and earlier.model = l.model
            and earlier.tick = l.tick - interval '7 days'
            -- Says again what the row above implies, with values known beforehand: one range of the index on tick.
            and earlier.tick = any(%(week_ago_ticks)s)
      join accounts a on a.account_id = l.account_id and not a.deleted and a.merged_into is null
     where l.model = %(model)s
       and l.score <> earlier.score
     order by abs(l.score - earlier.score) desc, l.account_id
     limit 5
)

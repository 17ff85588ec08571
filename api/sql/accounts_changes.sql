select page.*, week.score as week_ago, month.score as month_ago
  from page
  left join health_scores week
         on week.account_id = page.account_id and week.model = page.model and week.tick = page.tick - interval '7 days'
  left join health_scores month
         on month.account_id = page.account_id and month.model = page.model
        and month.tick = page.tick - interval '28 days'

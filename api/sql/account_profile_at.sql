select account_id, valid_from, assumed, crm_id, name, segment, owner, region, plan, created_at, deleted, arr, arr_currency,
       time_zone, renewal_date, domain, parent_id, sources
  from account_profile_at(%(account_id)s, coalesce(%(instant)s::timestamptz, 'infinity'))

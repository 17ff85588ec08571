-- Every version of an account's profile: what shows history joins it as of each instant.
select valid_from, segment, owner, region, plan
  from account_profiles
 where account_id = %(account_id)s
 order by valid_from

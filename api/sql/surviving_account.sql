-- The account that is left of an account after every merge; itself where it was never merged.
with recursive chain (account_id, step) as (
    select %(account_id)s::uuid, 0
     union all
    select m.surviving_id, step + 1
      from chain
      join account_aliases m using (account_id)
     where not m.withdrawn
       and step < 20
)
select account_id
  from chain
 order by step desc
 limit 1

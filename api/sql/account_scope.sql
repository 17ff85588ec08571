-- Whether the account exists, and which model and partition its scores are in.
select a.account_id, l.model, l.partition
  from accounts a
  left join health_live l on l.account_id = a.account_id and l.model = %(model)s
 where a.account_id = %(account_id)s
   and not a.deleted
   and a.merged_into is null

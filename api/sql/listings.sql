select account_id::text as account_id, name, segment, owner, deleted or merged_into is not null as deleted
  from accounts

select account_id::text as account_id, name, segment, owner, deleted
  from accounts

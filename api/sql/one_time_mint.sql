insert into one_time_links (token_hash, user_id, expires_at)
values (%(token_hash)s, %(user_id)s, %(expires_at)s)

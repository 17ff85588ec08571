-- One statement: of two requests with the same token, the row lock lets only one see it unused.
update one_time_links
   set used_at = %(now)s
 where token_hash = %(token_hash)s
   and used_at is null
   and expires_at > %(now)s
returning user_id

update users
   set password_hash = %(password_hash)s
 where user_id = %(user_id)s

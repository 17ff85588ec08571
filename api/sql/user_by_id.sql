select user_id, email, password_hash, role
  from users
 where user_id = %(user_id)s

select user_id, email, password_hash, role
  from users
 where email = %(email)s

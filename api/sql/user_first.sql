-- The asked-for one if it exists, else the administrator who has been there longest.
select user_id, email
  from users
 order by email = %(email)s desc, role = 'admin' desc, created_at, user_id
 limit 1

insert into users (user_id, email, password_hash, role)
values (%(user_id)s, %(email)s, %(password_hash)s, %(role)s)
on conflict (email) do nothing
returning user_id

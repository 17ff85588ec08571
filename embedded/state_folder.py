"""The one folder that holds everything an embedded stack keeps: data, logs, secrets, ports and run status."""

import fcntl
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import TextIO

from embedded.files import write_atomically
from vitals.errors import UserError

MARKER = ".vitals-state"
DEFAULT_STATE = Path(".vitals")
LOCK_ATTEMPTS = 10


def default_state_path() -> Path:
    """`VITALS_STATE_DIR`, else `.vitals` below the current folder."""
    return Path(os.environ.get("VITALS_STATE_DIR") or DEFAULT_STATE).absolute()


class StateFolder:
    """Paths below a state folder, and the rules for creating, locking and removing it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.run = self.path / "run"
        self.logs = self.path / "logs"
        self.secrets = self.path / "secrets"
        self.status_file = self.run / "status.json"
        self.ports_file = self.run / "ports.json"
        self.lock_file = self.run / "lock"

    @property
    def exists(self) -> bool:
        """Whether this is a state folder."""
        return (self.path / MARKER).exists()

    def create(self) -> None:
        """Makes the folder and its parts where missing. Raises UserError for a folder that holds something else."""
        self._refuse_foreign_folder("would be mixed up with what is in it")
        try:
            for folder in (self.path, self.run, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            self.secrets.mkdir(mode=0o700, exist_ok=True)
            (self.path / MARKER).write_text("Vitals keeps its embedded stack here; `vitals up --fresh` removes it.\n")
        except OSError as error:
            raise UserError(f"The state folder {self.path} cannot be created: {error.strerror or error}.") from error

    def remove(self) -> None:
        """Deletes the folder. Raises UserError while it is in use, and for a folder that holds something else."""
        if not self.path.exists():
            return
        self._refuse_foreign_folder("will not be deleted")
        if self.exists:
            self.run.mkdir(exist_ok=True)
            # Held while deleting, so that no other `up` starts on a folder that is going away.
            with self.acquire():
                self._delete_contents()
            shutil.rmtree(self.path)

    def _delete_contents(self) -> None:
        for entry in self.path.iterdir():
            if entry in (self.run, self.path / MARKER):
                continue  # last: an interrupted removal must still be recognisable and locked
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _refuse_foreign_folder(self, consequence: str) -> None:
        if self.path.is_dir() and not self.exists and any(self.path.iterdir()):
            raise UserError(
                f"{self.path} is not a Vitals state folder and {consequence}: choose another one with --state."
            )
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file, not a folder: choose another place with --state.")

    def acquire(self) -> TextIO:
        """Takes the lock of the one stack that may run here; it is held until the returned file is closed.

        Raises UserError, naming the process, when another one holds it.
        """
        file = self.lock_file.open("a+")
        for attempt in range(LOCK_ATTEMPTS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # `running_pid` of another process holds it for a moment as well.
                if attempt < LOCK_ATTEMPTS - 1:
                    time.sleep(0.02)
        else:
            file.close()
            raise UserError(
                f"Vitals is already running on {self.path} (pid {self.running_pid() or 'unknown'}): "
                "`vitals status` shows it, `vitals down` stops it."
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        return file

    def running_pid(self) -> int | None:
        """Process id of the stack that holds the lock, or None when none does."""
        try:
            with self.lock_file.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = file.read().strip()
                    return int(text) if text.isdecimal() else None
        except OSError:
            return None
        return None

    def secret(self, name: str) -> str:
        """A generated password, made at the first request and then kept, readable by this user only."""
        path = self.secrets / name
        if not path.exists():
            write_atomically(path, secrets.token_urlsafe(24), mode=0o600)
        return path.read_text().strip()

    def log_file(self, name: str) -> Path:
        """Where the output of a part goes."""
        return self.logs / f"{name}.log"

"""Python environments of the large engines, apart from Vitals' own and made when one is first needed.

Spark and Flink are hundreds of megabytes and pin libraries in versions that Vitals does not want, so each has a virtual
environment in the user's cache folder, installed from a requirements file that pins every package with its hash. A
changed file, or another Python, makes a new environment. An installation that was broken off is done anew.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitals.cache import cache_folder
from vitals.disk import require_free_space
from vitals.errors import UserError

COMPLETE = "complete"
"""A file with this name is the last thing an installation writes."""

# No cache: a second copy of what is installed once would take as much space again.
PIP_INSTALL = ("--disable-pip-version-check", "--no-input", "install", "--quiet", "--no-cache-dir", "--require-hashes")


def engine_python(name: str, requirements: Path, needed_bytes: int, folder: Path | None = None) -> Path:
    """The Python of an engine's environment, which is installed where it is missing: minutes, and a line that says so.

    `name` is what people call the engine, `needed_bytes` the disk space that its environment takes at most.

    Raises:
        UserError: no network, no disk space, no venv module, or a package that is not the pinned one.
    """
    try:
        pins = requirements.read_bytes()
    except OSError as error:
        raise UserError(f"{name} cannot be installed: {requirements} cannot be read ({error.strerror}).") from error
    identity = hashlib.sha256(pins + f"{sys.base_prefix} {sys.version}".encode()).hexdigest()[:12]
    folder = cache_folder() / "environments" if folder is None else folder
    environment = folder / f"{name.lower()}-{identity}"
    python = environment / "bin" / "python"
    with _exclusive(folder, environment.name):
        if not ((environment / COMPLETE).exists() and python.exists()):
            require_free_space(folder, needed_bytes, f"installing {name}")
            _install(name, requirements, environment)
    return python


def _install(name: str, requirements: Path, environment: Path) -> None:
    began = time.monotonic()
    sys.stderr.write(f"Installing {name} in an environment of its own (once; a minute or two) …\n")
    shutil.rmtree(environment, ignore_errors=True)
    python = environment / "bin" / "python"
    _run(
        [sys.executable, "-m", "venv", str(environment)],
        f"{name} cannot be installed because `python -m venv` failed: on Debian, apt-get install python3-venv",
    )
    _run(
        [str(python), "-m", "pip", *PIP_INSTALL, "-r", str(requirements)],
        f"{name} cannot be installed from {requirements.name}: its first use needs a network, later ones do not",
    )
    (environment / COMPLETE).touch()
    sys.stderr.write(f"Installed {name} in {time.monotonic() - began:.0f} s.\n")


def _run(command: list[str], failure: str) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        lines = (finished.stderr or finished.stdout).strip().splitlines()
        errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["no message"]
        raise UserError(f"{failure} ({errors[-1].removeprefix('ERROR:').strip()}).")


@contextmanager
def _exclusive(folder: Path, name: str) -> Iterator[None]:
    """One process of this user installs an environment, others wait for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{name}.lock").open("w")
    except OSError as error:
        raise UserError(f"The cache {folder} cannot be written ({error.strerror}): set VITALS_CACHE_DIR.") from error
    with lock as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

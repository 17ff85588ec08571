"""Starts the WebAssembly build of TimescaleDB: the real extension, where no server with it is installed."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", ".npmrc", "server.mjs")
INSTALL_SECONDS = 240


class CannotStartError(Exception):
    """Node or the packages are missing, or the server ended; the message says which."""


def program(name: str) -> str:
    """Node's program from the path, or from the wheel in this environment."""
    beside_python = str(Path(sys.executable).parent)
    found = shutil.which(name) or shutil.which(name, path=beside_python)
    if found is None:
        raise CannotStartError(f"{name} is neither on the path nor in {beside_python}.")
    return found


def installed() -> Path:
    """The folder with the pinned packages, made on first use in the user's cache."""
    digest = hashlib.sha256(b"\0".join((HERE / name).read_bytes() for name in FILES)).hexdigest()[:16]
    folder = user_cache_path("vitals") / "timescale-wasm" / digest
    if not (folder / "node_modules").is_dir():
        partial = folder.with_name(f"{digest}.{os.getpid()}")
        partial.mkdir(parents=True)
        for name in FILES:
            shutil.copy(HERE / name, partial)
        outcome = subprocess.run(
            [program("npm"), "ci", "--no-audit", "--no-fund"],
            cwd=partial,
            env=os.environ | {"PATH": f"{Path(program('node')).parent}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if outcome.returncode != 0:
            shutil.rmtree(partial)
            raise CannotStartError(f"npm ci failed: {outcome.stderr.strip()[-500:]}")
        try:
            partial.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(partial)
    return folder


@contextmanager
def timescaledb() -> Iterator[str]:
    """A libpq URL of an empty TimescaleDB that takes one connection at a time.

    Raises CannotStartError.
    """
    folder = installed()
    with subprocess.Popen(
        [program("node"), "server.mjs"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith("PORT "):
                    yield f"postgresql://postgres:postgres@127.0.0.1:{int(line.split()[1])}/postgres?sslmode=disable"
                    return
            raise CannotStartError(f"The server ended: {''.join(said)[-500:]}")
        finally:
            process.kill()

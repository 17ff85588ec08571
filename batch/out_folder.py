"""The folder that a batch job writes: there once it is complete, and not before."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitals.errors import UserError


def is_local(out: str) -> bool:
    """Whether the folder is a path and not an address of a store, such as s3a://bucket/folder."""
    return "://" not in out


def check_out(out: str) -> None:
    """Checks that a job may write there, before it starts.

    Raises:
        UserError: it exists, or its parent cannot be made.
    """
    if not is_local(out):
        return  # Spark refuses one that exists
    if Path(out).exists():
        raise UserError(f"--out {out} exists already: name a folder that does not.")
    try:
        Path(out).absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out} cannot be written ({error.strerror}).") from error


@contextmanager
def complete(out: str) -> Iterator[str]:
    """Where to write what is to be at `out` once it is complete, and not before, nor after a failure."""
    if not is_local(out):
        yield out
        return
    target = Path(out).absolute()
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed
    try:
        yield str(unfinished)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)

"""Refuses work for which the disk has no room, before it starts."""

import shutil
from pathlib import Path

from vitals.errors import UserError

MEGABYTE = 1_000_000


def free_bytes(path: Path) -> int:
    """Bytes free for this user on the file system of `path`, or of its nearest folder that exists."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def require_free_space(path: Path, needed_bytes: int, purpose: str) -> None:
    """Raises UserError when fewer than `needed_bytes` are free where `path` lies; `purpose` completes the sentence."""
    free = free_bytes(path)
    if free < needed_bytes:
        raise UserError(
            f"Not enough disk space for {purpose}: {needed_bytes // MEGABYTE} MB are needed at {path}, "
            f"{free // MEGABYTE} MB are free: free some, or choose another folder."
        )

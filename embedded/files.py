"""Writes small files so that a reader sees the old content or the new, never a part of it."""

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, content: str, mode: int = 0o644) -> None:
    """Replaces `path` by `content`; the file has `mode` from the first byte on."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

"""Where a job's checkpoints and savepoints lie, and which one it goes on from."""

import shutil
from dataclasses import dataclass
from pathlib import Path

COMPLETE = ("checkpoints/*/chk-*/_metadata", "savepoints/*/_metadata")
"""Flink writes this file last, and moves it into place."""


@dataclass(frozen=True)
class CheckpointFolder:
    """The folder of one plan's checkpoints: on this machine, or below a URI that Flink understands and we do not."""

    uri: str

    @classmethod
    def below(cls, place: str, digest: str) -> "CheckpointFolder":
        """The plan's folder below a folder or URI."""
        # Not Path.as_uri: Flink does not decode what that encodes.
        base = place if "://" in place else f"file://{Path(place).absolute()}"
        return cls(f"{base.rstrip('/')}/{digest}")

    @property
    def path(self) -> Path | None:
        """The folder, where it is one of this machine."""
        return Path(self.uri.removeprefix("file://")) if self.uri.startswith("file://") else None

    def newest(self) -> str | None:
        """URI of the newest complete checkpoint or savepoint; None where there is none, or where we cannot look."""
        if self.path is None:
            return None
        found = [path for pattern in COMPLETE for path in self.path.glob(pattern)]
        newest = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
        return None if newest is None else f"file://{newest.parent}"

    def clear(self) -> None:
        """Deletes what a finished job left, so that the next one begins anew."""
        if self.path is not None:
            for name in ("checkpoints", "savepoints"):
                shutil.rmtree(self.path / name, ignore_errors=True)

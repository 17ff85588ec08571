"""Class data sharing: keeps the classes that a JVM loaded at its first run in a file that later runs map into memory.

It takes about half off the start of the broker and a third off that of the registry. The first run of each records,
which costs two to three seconds when it stops; a run that does not end in good order records nothing. A JVM ignores a
file that does not fit its version or class path, so a stale one is harmless.
"""

import hashlib
import subprocess
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vitals.java import Java

CLEAN_EXIT_CODES = (0, 143)
"""How a JVM ends in good order; 143 is its answer to SIGTERM."""

_ABANDONED_AFTER_SECONDS = 86_400


@dataclass(frozen=True)
class ClassData:
    """JVM options for one run, and the file that this run records, if any."""

    options: tuple[str, ...]
    recording: Path | None = None
    archive: Path | None = None

    def keep(self, exit_code: int) -> None:
        """To be called when the run has ended on request: puts what it recorded to use."""
        if self.recording is None or self.archive is None:
            return
        with suppress(OSError):  # nothing was recorded, or the cache is gone: the next run records
            if exit_code in CLEAN_EXIT_CODES:
                self.recording.replace(self.archive)
            else:
                self.recording.unlink()


def class_data(folder: Path, name: str, java: Java, class_path: Sequence[Path], options: Sequence[str]) -> ClassData:
    """Options that use the recording for this Java and class path, or that make one; none where that cannot work.

    options: further JVM options of the run that decide about the format, such as the garbage collector.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        base = _base_archive(folder, java, options)
    except (OSError, subprocess.SubprocessError):
        return ClassData(())  # a slower start is no reason not to start
    key = _digest(java.executable, java.version, base, *class_path, *options)
    archive = folder / f"{name}-{key}.jsa"
    if archive.exists():
        files = [str(path) for path in (base, archive) if path is not None]
        return ClassData((f"-XX:SharedArchiveFile={':'.join(files)}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"))
    recording = folder / f"{name}-{key}.{uuid.uuid4().hex}.partial"
    record = [f"-XX:ArchiveClassesAtExit={recording}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
    if base is not None:
        record.insert(0, f"-XX:SharedArchiveFile={base}")
    return ClassData(tuple(record), recording, archive)


def _base_archive(folder: Path, java: Java, options: Sequence[str]) -> Path | None:
    """The recording of Java's own classes that others build upon; None where the runtime brings it.

    Raises OSError or subprocess.SubprocessError when it cannot be made.
    """
    home = java.executable.resolve().parent.parent
    if (home / "lib" / "server" / "classes.jsa").exists():
        return None
    base = folder / f"java-{_digest(java.executable, java.version, *options)}.jsa"
    if not base.exists():
        recording = base.with_suffix(f".{uuid.uuid4().hex}.partial")
        command = [str(java.executable), "-Xshare:dump", f"-XX:SharedArchiveFile={recording}", *options]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        recording.replace(base)
    return base


def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:16]


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob("*.partial"):
        if path.stat().st_mtime < time.time() - _ABANDONED_AFTER_SECONDS:
            path.unlink(missing_ok=True)

"""Java archives pinned by Maven coordinates, size and SHA-256, fetched through jgo and cached once per user.

`jars.lock.json` lists them in groups (`kafka`, `registry`, …); `python -m vitals.lock_jars` writes it. A file is used
only when its SHA-256 is the pinned one. Downloads land in a folder of their own and move into place once verified,
under a lock between processes, so an interrupted or concurrent download leaves nothing half-written behind.

Settings: `VITALS_CACHE_DIR` moves the cache, `VITALS_MAVEN_REPOSITORY` names a mirror to use instead of jgo's default.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from jgo.maven import MavenContext, PythonResolver

from vitals.cache import cache_folder
from vitals.disk import require_free_space
from vitals.download_progress import CancellableProgress, DownloadProgress, download_progress
from vitals.errors import UserError, VitalsError

LOCK_FILE = Path(__file__).with_name("jars.lock.json")
DOWNLOAD_THREADS = 8
DOWNLOAD_TIMEOUT_SECONDS = 30
DOWNLOAD_ATTEMPTS = 3
RETRY_SECONDS = 0.5
INCOMING, UNPACKING = "incoming-", "unpacking-"


class JarVerificationError(VitalsError):
    """A file does not have the SHA-256 that the lock file pins."""


@dataclass(frozen=True, order=True)
class LockedJar:
    """One pinned file. `size` is in bytes, `sha256` in lower-case hexadecimal digits."""

    group: str
    artifact: str
    version: str
    classifier: str
    packaging: str
    sha256: str
    size: int

    @property
    def coordinates(self) -> str:
        """`group:artifact:version[:classifier]`, as people write it."""
        return ":".join(part for part in (self.group, self.artifact, self.version, self.classifier) if part)

    @property
    def filename(self) -> str:
        """Name of the file in a Maven repository."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.{self.packaging}"

    @property
    def path(self) -> Path:
        """Place below a Maven repository."""
        return Path(*self.group.split("."), self.artifact, self.version, self.filename)


def read_lock(path: Path = LOCK_FILE) -> dict[str, tuple[LockedJar, ...]]:
    """The pinned files by group, in the order of the lock file."""
    groups = json.loads(path.read_text())["groups"]
    return {name: tuple(LockedJar(**row) for row in rows) for name, rows in groups.items()}


def write_lock(groups: Mapping[str, Sequence[LockedJar]], path: Path = LOCK_FILE) -> None:
    """Writes the pinned files, sorted, so that a new lock differs from the old one only where a pin differs."""
    document = {"groups": {name: [asdict(jar) for jar in sorted(jars)] for name, jars in sorted(groups.items())}}
    path.write_text(json.dumps(document, indent=1) + "\n")


def maven_context(repository: Path, progress: DownloadProgress | None = None) -> MavenContext:
    """A jgo context that keeps its files below `repository` and reports downloaded bytes to `progress`."""

    @contextmanager
    def report(filename: str, size: int) -> Iterator[Callable[[int], None]]:
        del filename, size
        assert progress is not None
        yield progress.advance

    mirror = os.environ.get("VITALS_MAVEN_REPOSITORY")
    remotes = {"mirror": mirror.rstrip("/")} if mirror else None
    resolver = PythonResolver(progress_callback=report if progress is not None else None)
    return MavenContext(resolver, repository, remote_repos=remotes, timeout=DOWNLOAD_TIMEOUT_SECONDS)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, jar: LockedJar) -> None:
    """Raises JarVerificationError unless the file at `path` has the pinned size and SHA-256."""
    size = path.stat().st_size
    if size != jar.size or (found := file_sha256(path)) != jar.sha256:
        reason = f"it has {size} bytes, not {jar.size}" if size != jar.size else f"its SHA-256 is {found}"
        raise JarVerificationError(f"{jar.coordinates} at {path} is not the pinned file: {reason}")


class JarCache:
    """The verified files of one lock, below one folder shared by all processes of a user."""

    def __init__(self, folder: Path | None = None, lock: Mapping[str, Sequence[LockedJar]] | None = None) -> None:
        self.folder = cache_folder() if folder is None else folder
        self._lock = read_lock() if lock is None else lock

    def jars(self, group: str) -> list[Path]:
        """Paths of all files of a group, downloaded where missing, each verified now.

        Raises UserError without a network or disk space, or when a download is not the pinned file.
        """
        jars = self._lock[group]
        if self._unusable(jars):
            with self._exclusive():
                self._download(self._unusable(jars), group)
        return [self._place(jar) for jar in jars]

    def unpacked(self, group: str) -> Path:
        """Folder with the contents of the one `tar.gz` of a group, downloaded and unpacked where missing.

        The archive itself is not kept. Raises as `jars` does.
        """
        (jar,) = self._lock[group]
        folder = self.folder / "unpacked" / f"{jar.artifact}-{jar.version}-{jar.sha256[:12]}"
        if not folder.exists():
            with self._exclusive():
                if not folder.exists():
                    self._download(self._unusable([jar]), group)
                    self._unpack(self._place(jar), folder)
                    self._place(jar).unlink()
        return folder

    def missing_bytes(self, group: str) -> int:
        """Bytes still to be downloaded for a group."""
        return sum(jar.size for jar in self._lock[group] if not self._place(jar).exists())

    def _place(self, jar: LockedJar) -> Path:
        return self.folder / "maven" / jar.path

    def _unusable(self, jars: Sequence[LockedJar]) -> list[LockedJar]:
        def usable(jar: LockedJar) -> bool:
            try:
                verify(self._place(jar), jar)
            except (OSError, JarVerificationError):
                return False  # missing, cut short or tampered with: fetch it again
            return True

        with ThreadPoolExecutor(DOWNLOAD_THREADS) as pool:
            return [jar for jar, good in zip(jars, pool.map(usable, jars), strict=True) if not good]

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise UserError(
                f"The download cache {self.folder} cannot be written ({error.strerror}): set VITALS_CACHE_DIR."
            ) from error
        with lock as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for prefix in (INCOMING, UNPACKING):
                for leftover in self.folder.glob(f"{prefix}*"):  # of a process that was killed
                    shutil.rmtree(leftover, ignore_errors=True)
            yield

    def _download(self, jars: Sequence[LockedJar], group: str) -> None:
        if not jars:
            return
        total = sum(jar.size for jar in jars)
        # Twice: an archive is unpacked beside itself, and a disk filled to the last byte serves nobody.
        require_free_space(self.folder, 2 * total, f"downloading {group}")
        with (
            TemporaryDirectory(prefix=INCOMING, dir=self.folder) as incoming,
            download_progress(group, len(jars), total) as progress,
            ThreadPoolExecutor(DOWNLOAD_THREADS) as pool,
        ):
            cancellable = CancellableProgress(progress)
            context = maven_context(Path(incoming), cancellable)
            downloads = [pool.submit(self._download_one, context, jar) for jar in jars]
            try:
                for download in as_completed(downloads):
                    download.result()
            except BaseException:
                cancellable.cancel()  # also what is on its way: Ctrl-C must not wait for a large file
                pool.shutdown(cancel_futures=True)
                raise

    def _download_one(self, context: MavenContext, jar: LockedJar) -> None:
        try:
            path = _fetch(context, jar)
        except requests.ConnectionError as error:
            raise UserError(
                f"{jar.coordinates} could not be downloaded because its Maven repository cannot be reached: "
                "the first start needs a network (or set VITALS_MAVEN_REPOSITORY to a mirror); later starts do not."
            ) from error
        except JarVerificationError as error:
            raise UserError(
                f"The download of {jar.coordinates} was refused: its SHA-256 is not the one pinned in "
                f"{LOCK_FILE.name}; try again, and if it persists do not trust the repository it came from."
            ) from error
        except (requests.RequestException, RuntimeError) as error:
            # jgo reports a file that no repository has, and a failed checksum, as a RuntimeError.
            raise UserError(f"{jar.coordinates} could not be downloaded: {error}") from error
        except OSError as error:
            raise UserError(
                f"{jar.coordinates} could not be written to {self.folder}: {error.strerror or error}."
            ) from error
        place = self._place(jar)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)

    def _unpack(self, archive: Path, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=UNPACKING, dir=self.folder) as temporary:
            with tarfile.open(archive) as tar:
                tar.extractall(temporary, filter="data")
            shutil.move(temporary, folder)
            Path(temporary).mkdir()  # TemporaryDirectory expects to find what it removes


def _fetch(context: MavenContext, jar: LockedJar) -> Path:
    """Downloads and verifies one file, more than once where the connection broke or cut it short."""
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact(jar.classifier, jar.packaging)
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        try:
            path = Path(artifact.resolve())
            verify(path, jar)
        except (requests.RequestException, JarVerificationError):
            if attempt == DOWNLOAD_ATTEMPTS:
                raise
            (context.repo_cache / jar.path).unlink(missing_ok=True)  # jgo would take a part for the whole
            time.sleep(RETRY_SECONDS * attempt)
        else:
            return path
    raise AssertionError("unreachable")

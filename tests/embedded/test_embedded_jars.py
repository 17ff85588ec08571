"""Pinned downloads: only the pinned bytes are ever used, and every failure is one sentence."""

import hashlib
import io
import shutil
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vitals.errors import UserError
from vitals.jars import JarCache, JarVerificationError, LockedJar, read_lock, verify


class Repository:
    """A Maven repository on the loopback interface that counts downloads of each file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[str] = []
        self.broken: set[str] = set()

    def publish(self, artifact: str, content: bytes, packaging: str = "jar") -> LockedJar:
        digest = hashlib.sha256(content).hexdigest()
        jar = LockedJar("org.example", artifact, "1.0", "", packaging, digest, len(content))
        path = self.folder / jar.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return jar

    def cut_short(self, jar: LockedJar) -> None:
        """The next request for this file gets half of it."""
        self.broken.add(f"/{jar.path.as_posix()}")

    def downloads(self, jar: LockedJar) -> int:
        return self.requests.count(f"/{jar.path.as_posix()}")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    repository = Repository(tmp_path / "repository")
    repository.folder.mkdir()

    class Counting(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            repository.requests.append(self.path)

        def do_GET(self) -> None:
            if self.path not in repository.broken:
                return super().do_GET()
            repository.broken.remove(self.path)
            content = (repository.folder / self.path[1:]).read_bytes()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=str(repository.folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("VITALS_MAVEN_REPOSITORY", f"http://127.0.0.1:{server.server_port}/")
    yield repository
    server.shutdown()
    server.server_close()


def test_downloads_once_and_works_offline_from_then_on(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = repository.publish("one", b"bytes of a jar")
    cache = JarCache(tmp_path / "cache", {"kafka": [jar]})
    assert cache.missing_bytes("kafka") == 14
    (path,) = cache.jars("kafka")
    assert path.read_bytes() == b"bytes of a jar"
    monkeypatch.setenv("VITALS_MAVEN_REPOSITORY", "http://127.0.0.1:1")
    assert cache.jars("kafka") == [path]
    assert cache.missing_bytes("kafka") == 0
    assert repository.downloads(jar) == 1


def test_tampered_download_is_refused_and_leaves_nothing(repository: Repository, tmp_path: Path) -> None:
    jar = repository.publish("one", b"bytes of a jar")
    repository.publish("one", b"bytes of a bad")
    with pytest.raises(UserError, match=r"org.example:one:1.0 was refused: its SHA-256"):
        JarCache(tmp_path / "cache", {"kafka": [jar]}).jars("kafka")
    assert not list((tmp_path / "cache").rglob("*.jar"))


def test_download_that_was_cut_short_is_tried_again(repository: Repository, tmp_path: Path) -> None:
    jar = repository.publish("one", b"bytes of a jar")
    repository.cut_short(jar)
    (path,) = JarCache(tmp_path / "cache", {"kafka": [jar]}).jars("kafka")
    assert path.read_bytes() == b"bytes of a jar"
    assert repository.downloads(jar) == 2


def test_corrupt_file_in_the_cache_is_fetched_again(repository: Repository, tmp_path: Path) -> None:
    jar = repository.publish("one", b"bytes of a jar")
    cache = JarCache(tmp_path / "cache", {"kafka": [jar]})
    (path,) = cache.jars("kafka")
    path.write_bytes(b"bytes of a bug")
    with pytest.raises(JarVerificationError, match="is not the pinned file"):
        verify(path, jar)
    assert cache.jars("kafka") == [path]
    assert path.read_bytes() == b"bytes of a jar"


def test_simultaneous_first_starts_download_once(repository: Repository, tmp_path: Path) -> None:
    jar = repository.publish("one", b"x" * 100_000)
    with ThreadPoolExecutor(4) as pool:
        # Each its own cache object on one folder, as separate processes have.
        caches = [JarCache(tmp_path / "cache", {"kafka": [jar]}) for _ in range(4)]
        paths = list(pool.map(lambda cache: cache.jars("kafka")[0], caches))
    assert len(set(paths)) == 1
    assert repository.downloads(jar) == 1


def test_archive_is_unpacked_once(repository: Repository, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("lib/run.jar")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"jar"))
    jar = repository.publish("app", buffer.getvalue(), packaging="tar.gz")
    cache = JarCache(tmp_path / "cache", {"registry": [jar]})
    folder = cache.unpacked("registry")
    assert (folder / "lib" / "run.jar").read_bytes() == b"jar"
    assert cache.unpacked("registry") == folder
    assert repository.downloads(jar) == 1


def test_no_network_at_the_first_start_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITALS_MAVEN_REPOSITORY", "http://127.0.0.1:1")
    jar = LockedJar("org.example", "one", "1.0", "", "jar", "0" * 64, 5)
    with pytest.raises(UserError, match=r"cannot be reached: the first start needs a network") as caught:
        JarCache(tmp_path, {"kafka": [jar]}).jars("kafka")
    assert "\n" not in str(caught.value)


def test_no_disk_space_is_said_before_the_download(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = repository.publish("one", b"bytes of a jar")
    full = shutil._ntuple_diskusage(10**9, 10**9, 0)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(UserError, match="Not enough disk space for downloading kafka"):
        JarCache(tmp_path / "cache", {"kafka": [jar]}).jars("kafka")
    assert repository.downloads(jar) == 0


def test_missing_file_in_the_repository_is_one_sentence(repository: Repository, tmp_path: Path) -> None:
    jar = LockedJar("org.example", "absent", "1.0", "", "jar", "0" * 64, 5)
    with pytest.raises(UserError, match=r"org.example:absent:1.0 could not be downloaded"):
        JarCache(tmp_path / "cache", {"kafka": [jar]}).jars("kafka")


def test_lock_file_pins_every_group_completely() -> None:
    lock = read_lock()
    assert {"kafka", "registry", "flink"} <= set(lock)
    assert {"kafka_2.13", "kafka-tools", "log4j-slf4j-impl"} <= {jar.artifact for jar in lock["kafka"]}
    for jar in (jar for jars in lock.values() for jar in jars):
        assert len(jar.sha256) == 64
        assert jar.size > 0

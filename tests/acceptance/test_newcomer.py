"""What newcomers get wrong, through the real command line: one sentence that says what to do, never a stack trace."""

import csv
import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.state_folder import StateFolder

CLOSED = "http://127.0.0.1:1"
"""Nothing listens on this port."""


class CommandLine:
    """`vitals` in an empty folder, with no setting but those given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fails(self, *arguments: str, **settings: str | Path) -> str:
        """The one sentence that a command ends with."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VITALS_")}
        finished = subprocess.run(
            [sys.executable, "-m", "vitals", *arguments],
            cwd=self.folder,
            env=environment | {name: str(value) for name, value in settings.items()},
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert "Traceback" not in finished.stdout + finished.stderr
        assert finished.returncode == 2, finished.stdout + finished.stderr
        # Progress of a download and log lines may come before it.
        *before, sentence = finished.stderr.splitlines()
        assert sentence.startswith("vitals: ")
        assert not any(line.startswith("vitals: ") for line in before)
        assert StateFolder(self.folder / ".vitals").running_pid() is None
        return sentence.removeprefix("vitals: ")


@pytest.fixture
def newcomer(tmp_path: Path) -> CommandLine:
    folder = tmp_path / "newcomer"
    folder.mkdir()
    return CommandLine(folder)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def events_file(folder: Path, content: bytes) -> Path:
    """A data folder with this file of events."""
    (folder / "git_usage").mkdir(parents=True)
    path = folder / "git_usage" / "events.csv.gz"
    path.write_bytes(content)
    return path


def test_a_port_that_is_in_use(newcomer: CommandLine, taken_port: int) -> None:
    sentence = newcomer.fails("up", "--port", f"api={taken_port}")
    assert sentence == (
        f"Port {taken_port}, asked for api, is in use: stop what uses it, or choose another with --port api=N."
    )


def test_a_port_of_a_part_that_is_not_started(newcomer: CommandLine) -> None:
    sentence = newcomer.fails("up", "--no-services", "--port", "api=8080")
    assert sentence.startswith("--port api=… names no part: the names are kafka,")


def test_a_data_folder_that_is_not_there(newcomer: CommandLine) -> None:
    assert newcomer.fails("up", "--data", "nowhere") == "--data nowhere is not a folder."


def test_a_data_folder_without_the_data(newcomer: CommandLine, tmp_path: Path) -> None:
    sentence = newcomer.fails("up", "--data", str(tmp_path))
    assert sentence.startswith(f"{tmp_path}/git_usage/events.csv.gz does not exist")


@pytest.mark.parametrize("command", [("up",), ("up", "--detach"), ("simulate",)], ids=" ".join)
def test_data_that_lack_a_column(newcomer: CommandLine, tmp_path: Path, command: tuple[str, ...]) -> None:
    columns = ["timestamp", "account", "user", "feature", "lines_changed", "files", "change_id", "personal_email"]
    path = events_file(tmp_path / "data", gzip.compress((",".join(columns) + "\n").encode()))
    sentence = newcomer.fails(*command, "--data", str(tmp_path / "data"))
    assert sentence == f"{path} lacks the column opened_at."


def test_data_with_a_broken_line(newcomer: CommandLine, tmp_path: Path, data_dir: Path) -> None:
    with gzip.open(data_dir / "git_usage" / "events.csv.gz", "rt", newline="") as file:
        header, first = (row for row, _ in zip(csv.reader(file), range(2), strict=False))
    broken = ["yesterday", *first[1:]]
    text = "\n".join(",".join(row) for row in (header, first, broken)) + "\n"
    path = events_file(tmp_path / "data", gzip.compress(text.encode()))
    sentence = newcomer.fails("up", "--data", str(tmp_path / "data"))
    assert sentence.startswith(f"{path} line 3")


def test_data_that_are_no_gzip_file(newcomer: CommandLine, tmp_path: Path) -> None:
    path = events_file(tmp_path / "data", b"timestamp,account,user\n")
    sentence = newcomer.fails("up", "--data", str(tmp_path / "data"))
    assert sentence == f"{path} cannot be read as a gzip file."


def test_a_start_that_is_no_instant(newcomer: CommandLine) -> None:
    sentence = newcomer.fails("up", "--start", "yesterday")
    assert sentence == "--start yesterday is not an instant in ISO 8601, such as 2023-12-01T00:00:00Z."


def test_a_java_that_is_too_old(newcomer: CommandLine, tmp_path: Path) -> None:
    executable = tmp_path / "jdk" / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text("#!/bin/sh\necho 'openjdk version \"17.0.15\" 2025-04-15' >&2\n")
    executable.chmod(0o755)
    sentence = newcomer.fails("up", VITALS_JAVA_HOME=tmp_path / "jdk")
    assert sentence.startswith(f"Java 17 found at {tmp_path}/jdk, Vitals needs 21 or newer: unset VITALS_JAVA_HOME")


def test_no_network_at_the_first_start(newcomer: CommandLine, tmp_path: Path) -> None:
    proxies = {name: CLOSED for proxy in ("http_proxy", "https_proxy") for name in (proxy, proxy.upper())}
    sentence = newcomer.fails("up", VITALS_CACHE_DIR=tmp_path / "cache", NO_PROXY="", no_proxy="", **proxies)
    assert "cannot be reached: the first start needs a network" in sentence
    assert "later starts do not" in sentence
    assert not list((tmp_path / "cache").rglob("*.jar"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("VITALS_API_PORT", "eighty", "Input should be a valid integer"),
        ("VITALS_API_PORT", "70000", "less than or equal to 65535"),
        ("VITALS_PROFILE", "production", "'dev', 'staging' or 'prod'"),
        ("VITALS_POLL_INTERVAL_SECONDS", "0", "greater than 0"),
    ],
)
def test_a_wrong_setting(newcomer: CommandLine, name: str, value: str, said: str) -> None:
    sentence = newcomer.fails("api", **{name: value})
    assert sentence.startswith(f"Settings are not valid: {name}: ")
    assert said in sentence


def test_a_setting_that_names_an_unknown_connector(newcomer: CommandLine) -> None:
    sentence = newcomer.fails("connect", VITALS_CONNECTORS="stripe,netsuite")
    assert sentence.startswith("No connector is called netsuite; there are ")
    assert "mixpanel, salesforce, stripe" in sentence


def test_a_simulator_on_a_port_in_use(newcomer: CommandLine, taken_port: int) -> None:
    sentence = newcomer.fails("simulate", "--world", "--port", str(taken_port))
    assert sentence.startswith(f"cannot listen on 127.0.0.1:{taken_port}: Address already in use")


def test_the_log_of_a_part_before_anything_has_run(newcomer: CommandLine) -> None:
    sentence = newcomer.fails("logs", "api")
    assert sentence.startswith("There is no log of api: nothing has run on ")


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_state_folder_that_is_something_else(newcomer: CommandLine, tmp_path: Path, place: str) -> None:
    taken = tmp_path / "taken"
    if place == "file":
        taken.write_text("thesis")
    else:
        taken.mkdir()
        (taken / "thesis.txt").write_text("thesis")
    sentence = newcomer.fails("up", "--state", str(taken))
    assert sentence.startswith(f"{taken} is ")
    assert "--state" in sentence

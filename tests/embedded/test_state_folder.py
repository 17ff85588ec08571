"""The state folder: nothing foreign is mixed with or deleted, and one stack at a time runs on it."""

import os
import shutil
import stat
from pathlib import Path

import pytest

from embedded.stack import Stack
from embedded.state_folder import StateFolder
from vitals.errors import UserError


def test_foreign_folder_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is not a Vitals state folder"):
        StateFolder(tmp_path).create()
    with pytest.raises(UserError, match="will not be deleted"):
        StateFolder(tmp_path).remove()
    assert (tmp_path / "thesis.txt").exists()


def test_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(UserError, match="is a file, not a folder"):
        StateFolder(tmp_path / "state").create()


def test_empty_folder_becomes_a_state_folder_and_can_be_removed(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.create()
    (state.path / "kafka").mkdir()
    state.remove()
    assert not state.path.exists()
    state.remove()  # nothing there: nothing to do


def test_removal_does_not_follow_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    state = StateFolder(tmp_path / "state")
    state.create()
    (state.path / "link").symlink_to(outside)
    state.remove()
    assert (outside / "kept").exists()


def test_second_stack_on_one_folder_is_refused(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.create()
    assert state.running_pid() is None
    with state.acquire():
        assert state.running_pid() == os.getpid()
        message = rf"Vitals is already running on {tmp_path} \(pid {os.getpid()}\): `vitals status` shows it"
        with pytest.raises(UserError, match=message):
            Stack(tmp_path).prepare()
        with pytest.raises(UserError, match="already running"):
            state.remove()
    assert state.running_pid() is None


def test_secrets_are_kept_and_readable_by_the_owner_only(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    state.create()
    secret = state.secret("postgres-password")
    assert state.secret("postgres-password") == secret
    assert len(secret) >= 32
    assert stat.S_IMODE((state.secrets / "postgres-password").stat().st_mode) == 0o600


def test_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil._ntuple_diskusage(10**9, 10**9, 1000)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(UserError, match="Not enough disk space for starting Vitals: 500 MB are needed"):
        Stack(tmp_path).prepare()

"""`vitals connectors add` and `remove`: what is written where, that it is read again, and that no secret is shown."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from connectors.catalogue import connector_modules
from connectors.setup.cli import group
from connectors.zendesk.connector import ZendeskSettings
from vitals import settings_file
from vitals.errors import UserError
from vitals.settings import load_settings

SECRET = "zd-client-secret-demo"
ENTERED = ["--set", "url=https://northwind.zendesk.com", "--set", "VITALS_ZENDESK_CLIENT_ID=cs_platform"]


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A state folder of its own, and an environment that sets nothing else; what a command sets there is undone."""
    for variable in [name for name in os.environ if name.startswith("VITALS_")]:
        monkeypatch.delenv(variable)
    for name in connector_modules():
        for field in ("URL", "CLIENT_ID", "CLIENT_SECRET", "EMAIL", "API_TOKEN"):
            # So that monkeypatch takes away what `add` tries out.
            monkeypatch.setenv(f"VITALS_{name.upper()}_{field}", "")
            monkeypatch.delenv(f"VITALS_{name.upper()}_{field}")
    monkeypatch.setenv("VITALS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def run(state: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def invoke(*arguments: str, answers: str | None = None) -> Result:
        before = dict(os.environ)
        try:
            return CliRunner().invoke(group, list(arguments), input=answers)
        finally:
            os.environ.clear()
            os.environ.update(before)

    return invoke


@pytest.fixture
def secret_file(tmp_path: Path) -> str:
    path = tmp_path / "given-secret"
    path.write_text(f"{SECRET}\n")
    return f"client_secret={path}"


def everything_under(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_settings_go_to_the_file_and_secrets_to_files_that_only_their_owner_reads(
    run, state: Path, secret_file: str
) -> None:
    result = run("add", "zendesk", *ENTERED, "--secret-file", secret_file, "--no-check")
    assert result.exit_code == 0, result.output
    assert SECRET not in result.output
    assert "not start while settings of salesforce, mixpanel, stripe are not complete" in result.output
    secret = state / "secrets" / "vitals_zendesk_client_secret"
    assert secret.read_text() == SECRET
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    assert SECRET not in (state / "settings.yaml").read_text()
    own = ZendeskSettings.load()
    assert (own.url, own.client_id) == ("https://northwind.zendesk.com", "cs_platform")
    assert own.client_secret.get_secret_value() == SECRET
    assert "zendesk" in load_settings().enabled_connectors


def test_doing_it_again_changes_nothing_and_removing_it_leaves_the_others(run, state: Path, secret_file: str) -> None:
    settings_file.change_settings_file({"VITALS_CONNECTORS": "stripe", "VITALS_LOG_LEVEL": "WARNING"})
    before = everything_under(state)
    for _ in range(2):
        assert run("add", "zendesk", *ENTERED, "--secret-file", secret_file, "--no-check").exit_code == 0
        added = everything_under(state)
    assert load_settings().enabled_connectors == ("stripe", "zendesk")
    assert run("add", "zendesk", *ENTERED, "--secret-file", secret_file, "--no-check").exit_code == 0
    assert everything_under(state) == added
    assert run("remove", "zendesk").exit_code == 0
    assert everything_under(state) == before
    assert "was not set up" in run("remove", "zendesk").output


def test_a_person_is_asked_for_each_setting_and_an_empty_answer_keeps_what_is_there(run, state: Path) -> None:
    answers = "\n".join(["https://northwind.zendesk.com", "cs_platform", SECRET, "", *[""] * 5]) + "\n"
    result = run("add", "zendesk", "--no-check", answers=answers)
    assert result.exit_code == 0, result.output
    assert "Secret of the OAuth client" in result.output
    assert SECRET not in result.output
    before = everything_under(state)
    again = run("add", "zendesk", "--no-check", answers="\n" * 9)
    assert again.exit_code == 0, again.output
    assert SECRET not in again.output
    assert everything_under(state) == before


def test_nothing_is_written_where_the_check_fails(run, state: Path, secret_file: str) -> None:
    url = ["--set", "url=http://127.0.0.1:9", "--set", "client_id=x"]
    result = run("add", "zendesk", *url, "--secret-file", secret_file)
    assert result.exit_code == 1
    assert "Nothing was written" in result.output
    assert "VITALS_ZENDESK_URL" in result.output
    assert not state.exists()


def test_the_environment_comes_first_and_that_is_said(run, monkeypatch: pytest.MonkeyPatch, secret_file: str) -> None:
    monkeypatch.setenv("VITALS_ZENDESK_URL", "https://elsewhere.zendesk.com")
    monkeypatch.setenv("VITALS_CONNECTORS", "stripe")
    result = run("add", "zendesk", *ENTERED, "--secret-file", secret_file, "--no-check")
    assert "The environment comes first and sets VITALS_ZENDESK_URL, VITALS_CONNECTORS" in result.output
    assert ZendeskSettings.load().url == "https://elsewhere.zendesk.com"
    assert load_settings().enabled_connectors == ("stripe",)
    monkeypatch.setenv("VITALS_CONNECTORS", "zendesk")
    refused = run("remove", "zendesk")
    assert isinstance(refused.exception, UserError)
    assert "take it out there" in str(refused.exception)


@pytest.mark.parametrize("given_pair", ["--set", "--secret-file"])
def test_an_unknown_setting_is_refused_without_repeating_what_was_given(run, given_pair: str) -> None:
    result = run("add", "zendesk", given_pair, "client_sekret=hunter2")
    assert isinstance(result.exception, UserError)
    assert "VITALS_ZENDESK_CLIENT_SECRET" in str(result.exception)
    assert "hunter2" not in str(result.exception)


def test_an_unknown_connector_is_named(run) -> None:
    for command in ("add", "check", "remove"):
        result = run(command, "zendisk")
        assert isinstance(result.exception, UserError)
        assert "No connector is called zendisk" in str(result.exception)


@pytest.mark.parametrize("text", ["- a list\n", "VITALS_CONNECTORS: [a, b]\n", "connectors: a\n", "{\n"])
def test_a_settings_file_that_is_none_is_a_mistake_with_its_name(state: Path, text: str) -> None:
    state.mkdir()
    (state / "settings.yaml").write_text(text)
    with pytest.raises(UserError, match=r"settings\.yaml"):
        load_settings()


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)


@given(st.dictionaries(st.from_regex(r"VITALS_[A-Z]{1,8}", fullmatch=True), TEXTS, max_size=5))
def test_whatever_is_written_is_read_again(values: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            patch.setenv("VITALS_SETTINGS_FILE", f"{folder}/settings.yaml")
            settings_file.change_settings_file(values)
            assert settings_file.read_settings_file() == values
            settings_file.change_settings_file(dict.fromkeys(values))
            assert settings_file.read_settings_file() == {}

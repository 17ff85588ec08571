"""Ids, settings, discovery and the command line."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitals import bootstrap
from vitals.discovery import modules_named
from vitals.errors import UserError
from vitals.events import account_id, event_id, user_pseudonym
from vitals.settings import Settings, load_settings


@given(st.lists(st.text(max_size=8), min_size=5, max_size=5), st.lists(st.text(max_size=8), min_size=5, max_size=5))
def test_two_occurrences_share_an_id_only_if_all_parts_agree(one, other) -> None:
    if any("\x1f" in part for part in (*one, *other)):
        return
    assert (event_id(*one) == event_id(*other)) == (one == other)


def test_pseudonyms_depend_on_the_key() -> None:
    assert user_pseudonym(b"a", "ana") == user_pseudonym(b"a", "ana") != user_pseudonym(b"b", "ana")
    assert account_id("crm:account:1") != account_id("crm:account:2")


def test_a_wrong_setting_is_one_sentence_that_names_it(monkeypatch) -> None:
    monkeypatch.setenv("VITALS_API_PORT", "eighty")
    with pytest.raises(UserError, match="VITALS_API_PORT"):
        load_settings()


@pytest.mark.parametrize("profile", ["dev", "staging", "prod"])
def test_every_profile_loads(monkeypatch, profile) -> None:
    monkeypatch.setenv("VITALS_PROFILE", profile)
    monkeypatch.setenv("VITALS_PSEUDONYM_KEY", "chosen here")
    monkeypatch.setenv("VITALS_COLLECT_WRITE_KEY", "chosen here too")
    assert load_settings().profile == profile


@pytest.mark.parametrize("profile", ["staging", "prod"])
def test_secrets_that_everybody_knows_are_for_development_only(monkeypatch, profile) -> None:
    monkeypatch.setenv("VITALS_PROFILE", profile)
    monkeypatch.setenv("VITALS_PSEUDONYM_KEY", "chosen here")
    with pytest.raises(UserError, match="Set VITALS_COLLECT_WRITE_KEY: "):
        load_settings()


def test_every_setting_is_documented() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_secrets_are_not_printed(monkeypatch) -> None:
    monkeypatch.setenv("VITALS_KAFKA_PASSWORD", "hunter2")
    assert "hunter2" not in repr(load_settings())


def test_bootstrap_steps_are_discovered_in_order() -> None:
    names = [step.__name__ for step in bootstrap.steps()]
    assert (
        names.index("schemas.bootstrap")
        < names.index("sinks.timescale.bootstrap")
        < names.index("connectors.bootstrap")
    )


def test_every_command_has_help_and_modules_with_commands_are_found() -> None:
    commands = [command for module in modules_named("cli") for command in getattr(module, "commands", [])]
    assert {"up", "down", "status", "logs", "rollup", "connect", "simulate"} <= {command.name for command in commands}
    assert all(command.help for command in commands)


def test_a_users_mistake_is_a_sentence_and_not_a_stack_trace() -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "vitals", "connect", "netsuite"], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 2
    assert "No connector is called netsuite" in outcome.stderr
    assert "Traceback" not in outcome.stderr

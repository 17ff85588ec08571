"""Puts a connector's settings into the installation's settings file and secrets folder, and takes them out again."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from connectors.catalogue import connector_modules
from connectors.vendor_settings import VendorSettings, is_secret, settings_of
from vitals.errors import UserError
from vitals.settings import Settings
from vitals.settings_file import (
    change_settings_file,
    read_settings_file,
    remove_secret,
    secrets_path,
    settings_path,
    write_secret,
)

ENABLED = "VITALS_CONNECTORS"


@dataclass(frozen=True, slots=True)
class Asked:
    """One setting to ask for. `default` is None where there is none; a secret's is never told."""

    variable: str
    description: str
    secret: bool
    default: str | None


@dataclass(slots=True)
class Given:
    """Values by environment variable. Secrets are kept apart, so that nothing prints them."""

    plain: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, SecretStr] = field(default_factory=dict)

    def variables(self) -> set[str]:
        """Every variable that has a value."""
        return {*self.plain, *self.secrets}


def asked_of(module: ModuleType) -> list[Asked]:
    """The settings of a connector, in the order in which its author wrote them, with the values in force."""
    found = []
    for own in settings_of(module):
        try:
            now: VendorSettings | None = own.load()
        except UserError:
            now = None
        for name, described in own.model_fields.items():
            value: Any = getattr(now, name) if now is not None else described.default
            if value is PydanticUndefined:
                value = None
            secret = is_secret(own, name)
            text = value.get_secret_value() if isinstance(value, SecretStr) else "" if value is None else str(value)
            found.append(Asked(own.variable(name), described.description or "", secret, text or None))
    return found


def given_of(module: ModuleType, pairs: Iterable[str], secret_files: Iterable[str]) -> Given:
    """The values of `--set NAME=VALUE` and `--secret-file NAME=PATH`; NAME is a variable or what follows its prefix.

    Raises:
        UserError: no such setting, no value, or a file that cannot be read.
    """
    given, known = Given(), {one.variable: one for one in asked_of(module)}
    for pair in pairs:
        variable, text = _split(module, pair, known)
        if known[variable].secret:
            given.secrets[variable] = SecretStr(text)
        else:
            given.plain[variable] = text
    for pair in secret_files:
        variable, path = _split(module, pair, known)
        try:
            text = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"The file for {variable} cannot be read: {error}.") from error
        if not known[variable].secret:
            given.plain[variable] = text
        else:
            given.secrets[variable] = SecretStr(text)
    return given


def _split(module: ModuleType, pair: str, known: Mapping[str, Asked]) -> tuple[str, str]:
    name, equals, text = pair.partition("=")
    wanted = name.strip().upper()
    matching = [
        variable for variable in known if variable == wanted or variable == f"VITALS_{module.NAME}_{wanted}".upper()
    ]
    if not equals or not matching:
        # The pair itself is not repeated: it may hold a secret.
        choices = ", ".join(known) or "none: it needs no settings"
        raise UserError(f"Settings are given as NAME=VALUE, and {module.NAME} has these: {choices}.")
    return matching[0], text


def try_out(given: Given) -> None:
    """Puts values into this process's environment, so that a check uses them before anything is written."""
    os.environ.update(given.plain)
    os.environ.update({variable: secret.get_secret_value() for variable, secret in given.secrets.items()})


@dataclass(frozen=True, slots=True)
class Written:
    """What was stored where, for people; `overridden` are variables that the environment decides all the same."""

    settings: Path
    secrets: tuple[Path, ...]
    overridden: tuple[str, ...]


def enable(module: ModuleType, given: Given, settings: Settings, environment: Mapping[str, str]) -> Written:
    """Stores values and enables the connector. Doing it again with the same values changes nothing.

    `environment` is what this process was started with, before anything was tried out.

    Raises:
        UserError: a file cannot be written.
    """
    secrets = tuple(
        write_secret(variable, secret.get_secret_value()) for variable, secret in sorted(given.secrets.items())
    )
    enabled = settings.enabled_connectors
    named = enabled if module.NAME in enabled else (*enabled, module.NAME)
    changes: dict[str, str | None] = dict(given.plain)
    # A list that the environment gives would be frozen into the file: it is the environment's to change.
    if ENABLED not in environment:
        changes[ENABLED] = ",".join(named)
    change_settings_file(changes)
    overridden = [variable for variable in sorted(given.variables()) if variable in environment]
    if ENABLED in environment and module.NAME not in enabled:
        overridden.append(ENABLED)
    return Written(settings_path(), secrets, tuple(overridden))


def incomplete(settings: Settings) -> list[str]:
    """The enabled connectors whose settings are not complete: with one of them, `vitals connect` does not start."""
    modules, lacking = connector_modules(), []
    for name in settings.enabled_connectors:
        try:
            for stream in modules[name].create(settings) if name in modules else ():
                stream.close()
        except UserError:
            lacking.append(name)
    return lacking


def disable(module: ModuleType, settings: Settings, environment: Mapping[str, str]) -> bool:
    """Takes a connector's settings and secrets out of the files and its name out of the list; whether anything was.

    Raises:
        UserError: the environment enables it, or a file cannot be written.
    """
    if ENABLED in environment and module.NAME in settings.enabled_connectors:
        raise UserError(f"{ENABLED} in the environment enables {module.NAME}: take it out there.")
    variables = [one.variable for one in asked_of(module)]
    stored = read_settings_file()
    changes: dict[str, str | None] = {variable: None for variable in variables if variable in stored}
    if module.NAME in settings.enabled_connectors:
        changes[ENABLED] = ",".join(name for name in settings.enabled_connectors if name != module.NAME)
    removed = [remove_secret(variable) for variable in variables] if secrets_path().is_dir() else []
    if changes:
        change_settings_file(changes)
    return bool(changes) or any(removed)

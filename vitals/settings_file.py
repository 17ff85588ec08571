"""The installation's own settings file and secrets folder: what commands such as `vitals connectors add` write.

The file (`VITALS_SETTINGS_FILE`, default `settings.yaml` in the state folder) maps names of environment variables to
values, so that what stands in it can be moved to the environment as it is. It holds no secret: those are files of
mode 0600 in `VITALS_SECRETS_DIR` (default `secrets` in the state folder), one for each setting.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from vitals.errors import UserError

_HEADING = "# Settings of this installation, written by `vitals connectors`. The environment comes before them.\n"


def settings_path() -> Path:
    """Where the settings file is, whether or not it exists."""
    given = os.environ.get("VITALS_SETTINGS_FILE")
    return Path(given) if given else _state() / "settings.yaml"


def secrets_path() -> Path:
    """Where secret files are, whether or not the folder exists."""
    given = os.environ.get("VITALS_SECRETS_DIR")
    return Path(given) if given else _state() / "secrets"


def secrets_dir() -> Path | None:
    """The folder to read secrets from: a named one in any case, the default one where it exists."""
    path = secrets_path()
    return path if "VITALS_SECRETS_DIR" in os.environ or path.is_dir() else None


def read_settings_file() -> dict[str, str]:
    """What the file sets, by environment variable; nothing where there is no file.

    Raises:
        UserError: the file cannot be read, or is not a mapping of VITALS_ variables to plain values.
    """
    path = settings_path()
    try:
        found = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML; mend it, or move it away to begin again.") from error
    if found is None:
        return {}
    plain = isinstance(found, dict) and not any(isinstance(value, dict | list) for value in found.values())
    if not plain or not all(str(name).startswith("VITALS_") for name in found):
        raise UserError(f"{path} must map names such as VITALS_CONNECTORS to plain values.")
    return {str(name): str(value) for name, value in found.items() if value is not None}


def change_settings_file(changes: Mapping[str, str | None]) -> None:
    """Sets variables, and removes those whose value is None; the file is replaced as a whole or not at all.

    Raises:
        UserError: the file cannot be read or written.
    """
    kept = {**read_settings_file(), **changes}
    values = {name: value for name, value in sorted(kept.items()) if value is not None}
    text = _HEADING + (yaml.safe_dump(values, allow_unicode=True, width=1_000) if values else "")
    _replace(settings_path(), text, 0o644)


def write_secret(variable: str, secret: str) -> Path:
    """Stores a secret as a file that only this user may read, and returns its path.

    Raises:
        UserError: the file cannot be written.
    """
    path = secrets_path() / variable.lower()
    _replace(path, secret, 0o600)
    return path


def remove_secret(variable: str) -> bool:
    """Deletes the file of a secret; whether there was one."""
    folder = secrets_path()
    found = [path for path in folder.iterdir() if path.name.upper() == variable] if folder.is_dir() else []
    for path in found:
        path.unlink()
    return bool(found)


class SettingsFileSource(PydanticBaseSettingsSource):
    """What the settings file says about a class's fields."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self._values = read_settings_file()

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The text of one field, None where the file does not set it."""
        del field
        variable = f"{self.config.get('env_prefix', '')}{field_name}".upper()
        return self._values.get(variable), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Every field that the file sets."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def _state() -> Path:
    return Path(os.environ.get("VITALS_STATE_DIR") or ".vitals")


def _replace(path: Path, text: str, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if mode == 0o600 else 0o755)
        # The file is never readable by others for a moment, and never half written.
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error

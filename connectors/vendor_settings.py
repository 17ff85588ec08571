"""Base of the connectors' own settings: `VITALS_<VENDOR>_*` from the environment, the secrets folder, or the
installation's settings file."""

import inspect
from types import ModuleType
from typing import Self

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from vitals.errors import UserError
from vitals.settings_file import SettingsFileSource, secrets_dir


class VendorSettings(BaseSettings):
    """A connector registers its settings by subclassing this in its own folder, each with a description."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    @classmethod
    def load(cls) -> Self:
        """The settings of this process.

        Raises:
            UserError: one sentence for each setting that is wrong.
        """
        prefix = cls.model_config.get("env_prefix", "")
        try:
            return cls(_secrets_dir=secrets_dir())  # type: ignore[call-arg]
        except ValidationError as error:
            problems = "; ".join(
                f"{prefix}{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
                for problem in error.errors()
            )
            raise UserError(f"Settings are not valid: {problems}.") from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then secret files, then the installation's file."""
        del dotenv_settings
        return init_settings, env_settings, file_secret_settings, SettingsFileSource(settings_cls)

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable of a field."""
        return f"{cls.model_config.get('env_prefix', '')}{field}".upper()

    def require(self, *names: str) -> None:
        """Checks that settings which a connection needs have a value.

        Raises:
            UserError: names the environment variables to set.
        """
        missing = [name for name in names if not _given(getattr(self, name))]
        if missing:
            variables = ", ".join(map(self.variable, missing))
            raise UserError(
                f"Set {variables} to connect, or VITALS_SIMULATOR_URL to use `vitals simulate` instead of the vendor."
            )


def _given(value: object) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def settings_of(module: ModuleType) -> list[type[VendorSettings]]:
    """The settings classes that a connector's module defines; none where it needs no settings."""
    return [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, VendorSettings) and found is not VendorSettings
    ]


def is_secret(settings: type[VendorSettings], field: str) -> bool:
    """Whether a field holds a secret."""
    return settings.model_fields[field].annotation is SecretStr

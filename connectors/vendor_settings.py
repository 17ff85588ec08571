"""Base of the connectors' own settings: `VITALS_<VENDOR>_*` from the environment or from the secrets folder."""

import os
from typing import Self

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from vitals.errors import UserError


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
            return cls(_secrets_dir=os.environ.get("VITALS_SECRETS_DIR"))  # type: ignore[call-arg]
        except ValidationError as error:
            problems = "; ".join(
                f"{prefix}{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
                for problem in error.errors()
            )
            raise UserError(f"Settings are not valid: {problems}.") from error

    def require(self, *names: str) -> None:
        """Checks that settings which a connection needs have a value.

        Raises:
            UserError: names the environment variables to set.
        """
        missing = [name for name in names if not _given(getattr(self, name))]
        if missing:
            variables = ", ".join(f"{self.model_config.get('env_prefix', '')}{name.upper()}" for name in missing)
            raise UserError(
                f"Set {variables} to connect, or VITALS_SIMULATOR_URL to use `vitals simulate` instead of the vendor."
            )


def _given(value: object) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)

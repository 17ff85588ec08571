"""Settings of every Vitals process: environment variables `VITALS_*`, the installation's file, the profile's, defaults.

The profile (`VITALS_PROFILE`: dev, staging or prod) names a YAML file beside this module; `vitals.settings_file` says
where the installation's own file is. Secrets come from the environment or from files (`VITALS_SECRETS_DIR`, one file a
setting), never from a profile.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

from vitals.errors import UserError
from vitals.settings_file import SettingsFileSource, secrets_dir

PROFILES = Path(__file__).parent / "profiles"
SECRETS_WITH_DEFAULTS = ("pseudonym_key", "collect_write_key")
"""Convenient on one machine, known to the world: only the profile dev accepts them."""

Profile = Literal["dev", "staging", "prod"]


class Settings(BaseSettings):
    """Every setting, with its meaning and unit; `vitals settings` prints them with their values."""

    model_config = SettingsConfigDict(env_prefix="VITALS_", extra="forbid", frozen=True)

    profile: Profile = Field("dev", description="Which profile's file supplies defaults: dev, staging or prod.")
    state_dir: Path = Field(Path(".vitals"), description="Folder of everything that this installation keeps.")
    data_dir: Path = Field(Path("../shared/data"), description="Folder of data sets to load and test on.")

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, comma separated.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How Kafka clients connect; SASL_SSL in production."
    )
    kafka_sasl_mechanism: str = Field("SCRAM-SHA-512", description="SASL mechanism, with SASL_SSL.")
    kafka_username: str = Field("", description="SASL user, with SASL_SSL.")
    kafka_password: SecretStr = Field(SecretStr(""), description="SASL password, with SASL_SSL.")
    registry_url: str = Field(
        "http://127.0.0.1:8081/apis/ccompat/v7", description="Schema registry, Confluent-compatible API."
    )
    postgres_dsn: SecretStr = Field(
        SecretStr("postgresql://vitals@127.0.0.1:5432/vitals"), description="PostgreSQL or TimescaleDB, libpq URL."
    )
    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="Redis or Valkey URL.")

    host: str = Field("127.0.0.1", description="Address that HTTP servers listen on.")
    api_port: int = Field(8080, ge=0, le=65535, description="Port of the API and the dashboard.")
    collect_port: int = Field(8090, ge=0, le=65535, description="Port of the HTTP collect endpoint.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of this process's Prometheus endpoint; 0 picks one.")
    log_format: Literal["json", "console"] = Field("json", description="Form of the log lines.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe level logged.")

    source_clock_url: str = Field(
        "",
        description="Where source time comes from when a simulator owns it (its /_sim/clock); empty: the wall clock.",
    )
    simulator_url: str = Field(
        "", description="Base URL of `vitals simulate`; connectors take their vendor URLs from it."
    )
    connectors: str = Field(
        "salesforce,zendesk,mixpanel,stripe,collect",
        description="Connectors of this deployment, comma separated: their streams are registered and hold watermarks.",
    )
    vendor_pacing: bool = Field(
        True, description="Keep to the vendors' documented request rates; off for a demo's load."
    )
    poll_interval_seconds: float = Field(1.0, gt=0, description="Pause between polls of a vendor that had nothing new.")
    pseudonym_key: SecretStr = Field(SecretStr("vitals-dev"), description="Key of the users' pseudonyms (secret).")
    collect_write_key: SecretStr = Field(SecretStr("dev-write-key"), description="Write key of the collect endpoint.")

    flush_interval_seconds: float = Field(0.2, gt=0, description="Longest pause between two flushes of the rollup.")
    snapshot_interval_seconds: float = Field(5.0, gt=0, description="Time between two durable snapshots of the rollup.")
    rollup_memory_mb: int = Field(
        2048, ge=256, description="Memory for the rollup's open windows and event ids (MB); what exceeds it is on disk."
    )
    snapshot_dir: Path | None = Field(None, description="Where snapshots go; any worker must be able to read it.")
    health_model: Path | None = Field(None, description="Health model file; default: the newest in models/health.")

    session_secret: SecretStr = Field(SecretStr(""), description="Signs session tokens; made by `vitals up` in dev.")
    public_url: str = Field("", description="Address under which people reach the dashboard.")
    public_collect_url: str = Field(
        "",
        description="Scheme and host under which vendors reach the collect endpoint, where a proxy stands before it.",
    )

    @property
    def snapshots(self) -> Path:
        """Folder of the rollup's snapshots."""
        return self.snapshot_dir or self.state_dir / "snapshots"

    @property
    def enabled_connectors(self) -> tuple[str, ...]:
        """Names of the connectors of this deployment."""
        return tuple(name.strip() for name in self.connectors.split(",") if name.strip())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then secret files, then the installation's file, then the profile's."""
        del dotenv_settings
        profile = PROFILES / f"{os.environ.get('VITALS_PROFILE', 'dev')}.yaml"
        return (
            init_settings,
            env_settings,
            file_secret_settings,
            SettingsFileSource(settings_cls),
            YamlConfigSettingsSource(settings_cls, profile),
        )


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        UserError: one sentence for each setting that is wrong.
    """
    try:
        settings = Settings(_secrets_dir=secrets_dir())  # type: ignore[call-arg]
    except ValidationError as error:
        problems = "; ".join(
            f"VITALS_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors()
        )
        raise UserError(f"Settings are not valid: {problems}.") from error
    published = [name for name in SECRETS_WITH_DEFAULTS if name not in settings.model_fields_set]
    if settings.profile != "dev" and published:
        wanted = " and ".join(f"VITALS_{name.upper()}" for name in published)
        raise UserError(f"Set {wanted}: the profile {settings.profile} has no use for a secret that everybody knows.")
    return settings

"""Addresses of a running embedded stack, and the settings that hand them to services."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded import postgres, registry
from embedded.state_folder import StateFolder


@dataclass(frozen=True)
class Endpoints:
    """Where the four infrastructure parts answer. `ports` has every chosen port by name, also those of services."""

    kafka_bootstrap: str
    registry_url: str
    postgres_dsn: str
    redis_url: str
    ports: Mapping[str, int]
    state_dir: Path

    @classmethod
    def of(cls, state: StateFolder, ports: Mapping[str, int]) -> "Endpoints":
        """The addresses that follow from a state folder and its ports."""
        return cls(
            kafka_bootstrap=f"127.0.0.1:{ports['kafka']}",
            registry_url=registry.registry_url(ports["registry"]),
            postgres_dsn=postgres.dsn(ports["postgres"], state.secret("postgres-password")),
            redis_url=f"redis://127.0.0.1:{ports['valkey']}/0",
            ports=dict(ports),
            state_dir=state.path,
        )

    def environment(self) -> dict[str, str]:
        """The settings of `vitals` commands that use this stack, as environment variables."""
        return {
            "VITALS_KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "VITALS_REGISTRY_URL": self.registry_url,
            "VITALS_POSTGRES_DSN": self.postgres_dsn,
            "VITALS_REDIS_URL": self.redis_url,
            "VITALS_STATE_DIR": str(self.state_dir),
        }

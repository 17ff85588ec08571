"""What the supervisor needs to know about a process, and the start of its log."""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from embedded.probes import AliveProbe, Probe

Kind = Literal["infrastructure", "service"]

LOG_LIMIT_BYTES = 20_000_000
"""A part's log that is larger than this when the part starts is moved aside first."""


@dataclass(frozen=True)
class SetupStep:
    """A command that makes `creates`, run before the part's first start and skipped once that exists.

    The command writes to `partial`, which is renamed when it succeeds: an interrupted setup leaves nothing half-made.
    """

    argv: tuple[str, ...]
    partial: Path
    creates: Path


@dataclass(frozen=True)
class Part:
    """One supervised process.

    env: added to the supervisor's own environment. account: the system account to run as when the supervisor is root.
    reach: folders that this account must be able to enter. death_signal: what Linux sends if the supervisor is killed.
    provision: run once it answers its probe and before it counts as ready; must be idempotent and quick.
    after_stop: told the exit code when it has ended on request.
    run_once: the part is done when it exits with 0 (a migration), instead of having died.
    """

    name: str
    kind: Kind
    argv: tuple[str, ...]
    cwd: Path
    log_path: Path
    probe: Probe = field(default_factory=AliveProbe)
    env: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    depends_on: tuple[str, ...] = ()
    setup: tuple[SetupStep, ...] = ()
    provision: Callable[[], None] | None = None
    after_stop: Callable[[int], None] | None = None
    account: str | None = None
    reach: tuple[Path, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_seconds: float = 15.0
    death_signal: signal.Signals = signal.SIGKILL
    ready_timeout_seconds: float = 90.0
    run_once: bool = False


def rotate_log(path: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
    """Renames a log beyond the limit to `NAME.log.1`, replacing an older one."""
    if path.exists() and path.stat().st_size > limit_bytes:
        path.replace(path.with_name(path.name + ".1"))

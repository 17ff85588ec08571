"""What the contract tests must be told of a connector; each has a `conformance.py` with `CONFORMANCE`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """Facts of one connector for tests/connectors and tests/simulation.

    Attributes:
        data_path: beginning of the paths that its records come from, below the mount point: faults strike there.
        any_path: a GET that the vendor answers to anybody in its own way, be it with a 401.
        kinds: every kind of event that the connector brings; its golden pairs show each.
        told_by_change: of those, the kinds that only a change's own moment tells: a later first load cannot bring them.
        small_pages: constants (`module.NAME`) of page sizes, with values for which a small world takes many pages.
        environment: settings that make a small world take many pages, and that switch on what is off by default.
        waived: kinds of fault that the connector never meets, with the reason.
        throttle_status: status of the vendor's throttling answer.
    """

    data_path: str
    any_path: str
    kinds: tuple[str, ...]
    told_by_change: tuple[str, ...] = ()
    small_pages: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    waived: Mapping[str, str] = field(default_factory=dict)
    throttle_status: int = 429

"""What a sink's store must do. A new sink implements this and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from sinks.delivery import Delivery, Source, Step
from vitals.errors import RetriableError


class PositionTakenError(RetriableError):
    """The stored position of a source is not where this sink left it: another one has it. Nothing of it was written."""


class Destination(Protocol):
    """A store that keeps rows and positions together. One thread uses it.

    Every method raises `RetriableError` when the store cannot be reached: the caller then starts over from `claim`,
    because only the store knows whether the last batch is in.
    """

    name: str
    """The sink's name in commands, metrics and stored positions."""

    topics: tuple[str, ...]
    """The topics that it consumes."""

    def claim(self, lowest: Mapping[Source, int]) -> dict[Source, int]:
        """The next offset to apply of each source; where none is stored, storing one first.

        lowest: the first offset that the log still holds, of each source.
        """
        ...

    def apply(self, deliveries: Sequence[Delivery], steps: Mapping[Source, Step]) -> dict[str, int]:
        """Applies a batch and moves the positions, for each source all or nothing. Returns rows by table.

        deliveries: of the sources in `steps`, in log order within a source. There may be none: positions then move past
        records that carry nothing.

        Raises:
            PositionTakenError: another sink has moved a position.
            BadRecordError: a record does not fit the store; nothing at all was written.
        """
        ...

    def check(self) -> None:
        """Called about once a second while nothing arrives: raises as `apply` does when the store lost its content."""
        ...

    def close(self) -> None:
        """Lets the connection go; the next `claim` opens one."""
        ...

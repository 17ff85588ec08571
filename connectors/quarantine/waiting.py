"""Which quarantined events of a stream still wait, as entries of its state. Pure.

An entry says where on the topic `quarantine` the events stand that one transaction set aside for one name of an
account, so that neither the state nor a worker's memory holds the events: a hundred thousand are a few megabytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.contract import Json, State

WAITING = "waiting/"
BATCH_RECORDS = 2_000
"""Records that one transaction drives at most, so that it stays short; one entry is never cut."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Events of one name: all records of the stream with this name from offset `first` to `last` of a partition."""

    entry: str
    account_ref: str
    partition: int
    first: int
    last: int

    @property
    def span(self) -> int:
        """Offsets from the first to the last: no fewer than there are events."""
        return self.last - self.first + 1


def waiting_entries(position: int, places: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, Json]:
    """Entries of the transaction `position`, by the (partition, offset) of each name's records.

    A name's records have one key, and so stand on one partition.
    """
    return {
        f"{WAITING}{position}/{account_ref}": [
            found[0][0], min(offset for _, offset in found), max(offset for _, offset in found),
        ]
        for account_ref, found in places.items()
    }  # fmt: skip


def waiting_in(state: State) -> Iterator[Waiting]:
    """What waits by the state of a stream."""
    for entry, place in state.items():
        if entry.startswith(WAITING):
            partition, first, last = place
            yield Waiting(entry, entry[len(WAITING) :].partition("/")[2], partition, first, last)


def batches(waiting: Iterable[Waiting]) -> list[list[Waiting]]:
    """In the order of the topic, as many entries together as one transaction takes.

    The places of several names overlap where a transaction set all of them aside: what counts is the records to read.
    """
    found: list[list[Waiting]] = []
    room, partition, read = 0, -1, -1
    for one in sorted(waiting, key=lambda one: (one.partition, one.first)):
        if one.partition != partition:
            partition, read = one.partition, -1
        more = max(0, one.last - max(read, one.first - 1))
        if more > room or not found:
            found.append([])
            room, more, read = BATCH_RECORDS, one.span, -1
        found[-1].append(one)
        room -= more
        read = max(read, one.last)
    return found


def counts_after(counts: Mapping[str, Mapping[str, int]], kinds: Iterable[str]) -> dict[str, dict[str, int]]:
    """Absolute counts once events of these kinds are published that were quarantined."""
    total = {kind: dict(fates) for kind, fates in counts.items()}
    for kind in kinds:
        fates = total.setdefault(kind, {})
        fates["published"] = fates.get("published", 0) + 1
        fates["quarantined"] = fates.get("quarantined", 0) - 1
    return total

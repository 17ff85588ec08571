"""The small state of one partition over all events topics: positions, watermarks, event ids seen, counts. Pure.

With the partition's windows it is a pure function of the log up to `next_offsets`, whoever computed it. A metric reads
one topic, so topics do not touch each other.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from schemas.topics import EVENTS_TOPICS, TOPICS
from streams.rollup.ids import Ids, SeenIds
from streams.rollup.watermark import Watermark

Counts = Counter[tuple[str, str]]
"""Events by (kind, fate)."""


class PartitionState:
    """State of partition n. `allocate` as for `SeenIds`."""

    def __init__(self, partition: int, allocate: Callable[[int], Ids] = Ids.empty) -> None:
        self.partition = partition
        self.next_offsets: dict[str, int] = {}
        self.watermarks = {
            topic: Watermark(1_000_000 * (TOPICS[topic].allowed_lateness_seconds or 0)) for topic in EVENTS_TOPICS
        }
        self.seen = {topic: SeenIds(allocate) for topic in EVENTS_TOPICS}
        self.counts: dict[str, Counts] = {topic: Counter() for topic in EVENTS_TOPICS}
        self.forgotten: dict[str, int | None] = dict.fromkeys(EVENTS_TOPICS)
        """By topic, the seal up to which windows and ids were dropped."""

    @property
    def position(self) -> int:
        """Grows with every message, whichever topic it is from."""
        return sum(self.next_offsets.values())

    def saved(self) -> dict[str, Any]:
        """For the snapshot, without the ids."""
        return {
            "next_offsets": self.next_offsets,
            "watermarks": {topic: watermark.saved() for topic, watermark in self.watermarks.items()},
            "counts": {
                topic: [[kind, fate, count] for (kind, fate), count in counts.items()]
                for topic, counts in self.counts.items()
            },
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """From the snapshot."""
        self.next_offsets = dict(saved["next_offsets"])
        for topic, watermark in saved["watermarks"].items():
            self.watermarks[topic].restore(watermark)
        for topic, rows in saved["counts"].items():
            self.counts[topic] = Counter({(kind, fate): count for kind, fate, count in rows})

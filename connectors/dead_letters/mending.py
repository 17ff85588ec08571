"""Hands mended dead letters to the streams that own them, and says who takes them when."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator

from connectors.conditions import read_conditions
from connectors.dead_letters.letters import Letter
from connectors.dead_letters.owners import owner, repair_of
from connectors.orders import read_paused
from connectors.repairs import Repair, send_repairs
from vitals.avro import AvroSerde
from vitals.clock import WallClock
from vitals.settings import Settings


def replayed(
    letters: Iterable[Letter], wanted: Callable[[Letter], bool], repaired: Collection[str]
) -> Iterator[Repair]:
    """The wanted letters that are open and that a stream can take, as they are."""
    for letter in letters:
        if wanted(letter) and owner(letter) is not None and str(letter.position) not in repaired:
            yield repair_of(letter)


def send(settings: Settings, serde: AvroSerde, repairs: Iterable[Repair]) -> str:
    """Sends repairs, one at a time as they come, and tells in a few lines what was sent to whom.

    Raises:
        UserError: Kafka does not answer, or one of them cannot be driven again.
        RetriableError: the brokers did not take them all.
    """
    sent: Counter[str] = Counter()

    def counted() -> Iterator[Repair]:
        for repair in repairs:
            sent[repair.stream] += 1
            yield repair

    now = WallClock().now()
    send_repairs(settings, serde, counted(), now)
    if not sent:
        return "There is nothing to send: no open letter that a stream can take meets this."
    paused, conditions = read_paused(settings, serde), read_conditions(settings, serde)
    lines = []
    for stream, count in sorted(sent.items()):
        if stream in paused:
            when = "once it is resumed"
        elif stream in conditions and conditions[stream].alive(now):
            when = "at its next fetch"
        else:
            when = "once `vitals connect` runs it"
        lines.append(f"{count} letter{'s' * (count > 1)} sent to {stream}, which maps them {when}.")
    return "\n".join(lines)

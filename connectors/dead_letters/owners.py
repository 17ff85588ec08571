"""Who set a dead letter aside, and so what can be done about it. Pure.

Only a connector's stream can take an original again exactly: its transaction holds the events, the counts and the mark
that the letter is repaired. What others set aside is derived, or came from outside, and has another way back.
"""

import orjson

from connectors.dead_letters.letters import Letter
from connectors.repairs import Repair
from vitals.errors import UserError

_ADVICE = {
    "rollup": (
        "A message on an events topic that the rollup cannot read was not written by a connector of this version. "
        "Find out who wrote it, and have that connector, the collect endpoint or `vitals import` bring the event: ids "
        "keep it from counting twice."
    ),
    "scoring": (
        "Bundles of metric values are derived: the rollup's next flush of the account brings its values again, and a "
        "restart of `vitals scoring` reads them from the store."
    ),
    "sink": (
        "What a sink reads is derived: the next record of the same account or stream brings a newer revision. After a "
        "fix of the code, the rows are rewritten when their values next change."
    ),
}
_COLLECT = (
    "The call came over HTTP: send it again, corrected and with its messageId, to the collect endpoint; its event id "
    "keeps it from counting twice."
)
_DELIVERY = (
    "A webhook delivery that means nothing to the stream: the polls bring what it would have brought. Look whether the "
    "vendor changed what it sends."
)
_IMPORT = "The row came from a file: correct the file and import it again; rows that are known are passed over."


WEBHOOK = "webhook"
"""What the origin of a webhook delivery says in place of an object type: its body is no object of the stream."""


def owner(letter: Letter) -> str | None:
    """The stream that takes the original again; None where `advice` says what to do instead."""
    if letter.stage != "connector" or letter.record["source"] in ("collect", "import") or _is_delivery(letter):
        return None
    return letter.place


def _is_delivery(letter: Letter) -> bool:
    return str(letter.record["origin"]).split("/")[1:2] == [WEBHOOK]


def advice(letter: Letter, *, repaired: bool) -> str:
    """What can be done, in a sentence or two."""
    if repaired:
        return "It was repaired: its original was mapped again, once."
    stream = owner(letter)
    if stream is not None:
        return (
            f"`vitals dead-letters fix {letter.position}` corrects the original, `vitals dead-letters replay "
            f"{letter.position}` takes it again as it is, after a fix of the code; {stream} then maps it."
        )
    if letter.stage == "connector" and _is_delivery(letter):
        return _DELIVERY
    if letter.stage == "connector":
        return _COLLECT if letter.record["source"] == "collect" else _IMPORT
    return _ADVICE.get(letter.stage, "Nothing takes it again; the log of the process that set it aside says more.")


def repair_of(letter: Letter, corrected: bytes | None = None) -> Repair:
    """The letter's original, or a corrected one, for the stream that owns it.

    Raises:
        UserError: no stream owns it, or the corrected original is no JSON where the original was.
    """
    stream, _, rest = str(letter.record["origin"]).partition("/")
    object_type, slash, source_id = rest.partition("/")
    if owner(letter) is None or not stream or not slash:
        raise UserError(f"{letter.position} cannot be driven again. {advice(letter, repaired=False)}")
    body = letter.record["original"] if corrected is None else corrected
    if corrected is not None and _is_json(letter.record["original"]) and not _is_json(corrected):
        raise UserError(f"The corrected original of {letter.position} is not JSON, which the original was.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"The original of {letter.position} is not text in UTF-8.") from error
    return Repair(stream, str(letter.position), object_type, source_id, text, int(letter.record["attempt"]) + 1)


def _is_json(original: bytes) -> bool:
    try:
        orjson.loads(original)
    except orjson.JSONDecodeError:
        return False
    return True

"""A new metric's file: a definition that works, with an example that runs, to be made what its author means."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from metrics.contract import MergeKind
from schemas.topics import EVENTS_TOPICS
from vitals.errors import UserError

NAME = re.compile(r"([a-z]+)\.([a-z][a-z0-9_]*)")

TYPICAL_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "product": "product.feature_used",
        "support": "support.ticket_solved",
        "crm": "crm.opportunity_won",
        "billing": "billing.invoice_paid",
    }
)
"""A kind of each domain that carries a value, so that a scaffold finds something on history at once."""

COUNT = '''"""{title}.

>>> from metrics.authoring.examples import event, values
>>> values(METRIC, event("{kind}"), event("{kind}"))
['acme 2026-11-22: 2']
"""

from metrics.contract import Metric, of_kind

METRIC = Metric(
    name="{name}",
    topic="events.{domain}",
    merge="count",
    where=of_kind("{kind}"),
    unit="events",
    owner="{domain}",
    description="Events {kind} in the window.",
)
'''

MEASURED = '''"""{title}.

>>> from metrics.authoring.examples import event, values
>>> happened = [event("{kind}", {argument}=text) for text in {texts}]
>>> values(METRIC, *happened)
['acme 2026-11-22: {result}']
"""

from metrics.contract import Metric

METRIC = Metric(
    name="{name}",
    topic="events.{domain}",
    merge="{merge}",
    where=lambda events: (events.kind == "{kind}") & events.{column}.notnull(),
    measure=lambda events: events.{column},
    unit="{unit}",
    owner="{domain}",
    description="{description} of the events {kind} in the window.",
)
'''

DESCRIPTIONS: Mapping[MergeKind, str] = MappingProxyType(
    {
        "sum": "Sum of the values",
        "min": "The least value",
        "max": "The greatest value",
        "distinct": "Distinct users (exact)",
        "last": "The newest value",
    }
)
RESULTS: Mapping[MergeKind, str] = MappingProxyType({"sum": "9", "min": "2", "max": "4", "distinct": "2", "last": "3"})


def scaffold(name: str, merge: MergeKind, kind: str | None, folder: Path, taken: Collection[str]) -> Path:
    """Writes `<domain>_<name>.py` into a folder and returns its path. `taken` are the names that exist.

    Raises:
        UserError: the name or the kind is not one that a metric can have, or exists; the folder cannot be written.
    """
    domain = _domain(name)
    if name in taken:
        raise UserError(f"There is a metric {name} already.")
    kind = kind or TYPICAL_KINDS.get(domain, f"{domain}.something_happened")
    if not NAME.fullmatch(kind) or kind.partition(".")[0] != domain:
        raise UserError(f"{kind} is not a kind of events.{domain}: use one such as {TYPICAL_KINDS.get(domain, kind)}.")
    path = folder / f"{name.replace('.', '_')}.py"
    try:
        with path.open("x") as file:
            file.write(_text(name, domain, merge, kind))
    except FileExistsError as error:
        raise UserError(f"{path} exists already.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def _domain(name: str) -> str:
    domains = [topic.partition(".")[2] for topic in EVENTS_TOPICS]
    matched = NAME.fullmatch(name)
    if matched is None:
        raise UserError(
            f"{name} is not a metric's name: use domain.words_in_lower_case, such as {domains[0]}.things_done."
        )
    if matched[1] not in domains:
        raise UserError(
            f"There is no topic events.{matched[1]} for {name}: its domain must be one of {', '.join(domains)}."
        )
    return matched[1]


def _text(name: str, domain: str, merge: MergeKind, kind: str) -> str:
    title = name.partition(".")[2].replace("_", " ").capitalize()
    if merge == "count":
        return COUNT.format(title=title, name=name, domain=domain, kind=kind)
    distinct = merge == "distinct"
    return MEASURED.format(
        title=title,
        name=name,
        domain=domain,
        kind=kind,
        merge=merge,
        argument="user" if distinct else "value",
        texts='("ana", "ben", "ana")' if distinct else '("2", "4", "3")',
        result=RESULTS[merge],
        column="user_id" if distinct else "value",
        unit="users" if distinct else "units of the value",
        description=DESCRIPTIONS[merge],
    )

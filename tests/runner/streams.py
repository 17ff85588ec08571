"""A small in-memory vendor for tests of the runner: numbered things with a time and an account."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from connectors.contract import Mapped, MappedEvent, Page, Profile, RawObject, State, Stream
from vitals.errors import BadRecordError, RetriableError

START = datetime(2026, 1, 5, tzinfo=UTC)


class NumberedStream(Stream):
    """Serves things in pages of `page_size`; re-reads the last `reread` of them with every page.

    A thing is (number, account); account `bad` makes it invalid. `faults` raises on the given fetches.
    """

    source = "collect"
    topics = ("events.product",)

    def __init__(
        self,
        name: str,
        things: Sequence[tuple[int, str]],
        page_size: int = 10,
        reread: int = 0,
        faults: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.overlap = timedelta(days=365) if reread else None
        self._things, self._page_size, self._reread = things, page_size, reread
        self._faults = set(faults)
        self.fetches = 0

    def fetch(self, state: State) -> Page:
        self.fetches += 1
        if self.fetches in self._faults:
            raise RetriableError("the vendor is busy", retry_after_seconds=0.0)
        at = int(state.get("cursor", 0))
        end = min(len(self._things), at + self._page_size)
        chosen = self._things[max(0, at - self._reread) : end]
        done = end == len(self._things)
        return Page(
            [RawObject("thing", str(number), {"account": account}) for number, account in chosen],
            {"cursor": end},
            START + timedelta(days=400) if done else None,
            more=not done,
        )

    def map(self, raw: RawObject, state: State) -> Mapped:
        del state
        account = raw.body["account"]
        if account == "bad":
            raise BadRecordError("this thing is broken")
        number = int(raw.source_id)
        event = MappedEvent(
            "product.event_tracked", "thing", raw.source_id, START + timedelta(minutes=number),
            f"crm:account:{account}", user=f"{self.name}-{number % 3}", value=Decimal(number),
        )  # fmt: skip
        return Mapped([event])


class AccountsStream(Stream):
    """An identity source that knows the given accounts."""

    source = "salesforce"
    topics = ("events.crm",)
    identity_source = True

    def __init__(self, accounts: Sequence[str]) -> None:
        self._accounts = accounts
        self.name = f"test.accounts.{'.'.join(accounts)}"  # a stack may be shared by tests

    def fetch(self, state: State) -> Page:
        known = bool(state.get("done"))
        objects = [] if known else [RawObject("account", name, {}) for name in self._accounts]
        return Page(objects, {} if known else {"done": True}, START + timedelta(days=400), more=False)

    def map(self, raw: RawObject, state: State) -> Mapped:
        del state
        identity = f"crm:account:{raw.source_id}"
        return Mapped(profiles=[Profile(identity, raw.source_id, raw.source_id.title(), START, START)])

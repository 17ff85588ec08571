"""What a check is, as its YAML file declares it. A mistake is named with its place.

A share is between 0 and 1. Windows are of event time (UTC), those of `freshness` of the writers' wall clock.
"""

import re
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

HOUR_MICROS = 3_600_000_000
DAY_MICROS = 24 * HOUR_MICROS
WINDOW_MICROS = {"hour": HOUR_MICROS, "day": DAY_MICROS}

Share = Annotated[float, Field(ge=0, le=1)]
EventField = Annotated[
    str,
    Field(
        pattern=r"^(user_id|kind|value|properties\.[A-Za-z0-9_.-]+)$",
        description="`user_id`, `kind`, `value`, or `properties.<name>`.",
    ),
]
Topic = Annotated[str, Field(pattern=r"^events\.[a-z_]+$", description="Events topic.")]


class InvalidCheckError(ValueError):
    """A declaration that is none; the message names the place and what is wrong there."""


class Declaration(BaseModel):
    """What every check has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cumulative: ClassVar[bool] = False
    """Whether a window is judged with everything before it, which is then kept merged."""

    name: str = Field(pattern=r"^[a-z0-9_]+$", description="Also the name of its file.")
    version: int = Field(1, ge=1, description="Raise it when the definition changes: its verdicts replace older ones.")
    description: str = Field(min_length=10, description="What it watches and why, in a sentence.")
    owner: str = Field(min_length=1, description="Who answers for it.")
    severity: Literal["info", "warning", "critical"] = Field(description="How bad a failure is.")
    window: Literal["hour", "day"] = Field(description="Length of the windows that are judged.")
    minimum_records: int = Field(ge=1, description="Below this a window has too little to speak.")
    sources: tuple[str, ...] = Field((), description="Only events of these sources; empty: of all, each on its own.")
    gates: tuple[str, ...] = Field((), description="Metrics whose signals are held while the check fails.")

    @property
    def topics(self) -> tuple[str, ...]:
        """Events topics that it reads."""
        raise NotImplementedError

    @property
    def window_micros(self) -> int:
        """Length of a window in microseconds."""
        return WINDOW_MICROS[self.window]

    @property
    def reference_micros(self) -> int:
        """How far before a window the windows reach that it is compared with."""
        return 0

    @model_validator(mode="after")
    def _gates_by_the_day(self) -> Self:
        if self.gates and self.window != "day":
            raise ValueError("a check with gates needs `window: day`, because scores have a tick a day")
        return self


class OneTopic(Declaration):
    """A check of the events of one topic."""

    topic: Topic
    kinds: tuple[str, ...] = Field((), description="Only events of these kinds; empty: of all.")

    @property
    def topics(self) -> tuple[str, ...]:
        return (self.topic,)

    @model_validator(mode="after")
    def _kinds_of_the_topic(self) -> Self:
        domain = self.topic.removeprefix("events.")
        for kind in self.kinds:
            if not kind.startswith(f"{domain}."):
                raise ValueError(f"kind {kind} is not on {self.topic}: its kinds start with `{domain}.`")
        return self


class Completeness(OneTopic):
    """Share of events without a field, or with an empty one."""

    kind: Literal["completeness"]
    field: EventField
    maximum_share: Share = Field(description="Greatest share of events without it.")


class Uniqueness(OneTopic):
    """Share of events that were delivered before, by event id."""

    kind: Literal["uniqueness"]
    maximum_share: Share = Field(description="Greatest share of repeated events.")


class Validity(OneTopic):
    """Share of events whose field is not as it must be; events without the field are not examined."""

    kind: Literal["validity"]
    field: EventField | Literal["event_time"]
    minimum: Decimal | None = Field(None, description="Least valid number.")
    maximum: Decimal | None = Field(None, description="Greatest valid number.")
    one_of: tuple[str, ...] = Field((), description="The valid texts.")
    pattern: str | None = Field(None, description="Regular expression that a valid text matches as a whole.")
    code_list: Literal["iso4217"] | None = Field(None, description="List of codes, in either case.")
    ahead_seconds: int | None = Field(
        None, ge=0, description="For `event_time`: how far it may lie after `ingested_at`."
    )
    maximum_share: Share = Field(description="Greatest share of invalid events.")

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"is not a regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        bounds = self.minimum is not None or self.maximum is not None
        rules = [bounds, bool(self.one_of), self.pattern is not None, self.code_list is not None]
        if self.field == "event_time":
            if any(rules) or self.ahead_seconds is None:
                raise ValueError("`event_time` is checked by `ahead_seconds` and nothing else")
            return self
        if self.ahead_seconds is not None:
            raise ValueError("`ahead_seconds` belongs to the field `event_time`")
        if sum(rules) != 1:
            raise ValueError("say one of `minimum`/`maximum`, `one_of`, `pattern`, `code_list`")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"no number is at least {self.minimum} and at most {self.maximum}")
        return self


class Volume(OneTopic):
    """Events of a source on a day, against its own same weekdays before (see `statistics.robust_band`)."""

    kind: Literal["volume"]
    weeks: int = Field(8, ge=3, le=26, description="How many weeks back it compares with.")
    minimum_weeks: int = Field(4, ge=3, description="Fewer known weeks are too little to compare with.")
    deviations: float = Field(4.0, gt=0, description="Half width of the band in robust standard deviations.")
    least_spread: Share = Field(0.1, description="The deviation is at least this share of the median.")
    direction: Literal["low", "high", "both"] = Field("both", description="Which side of the band fails.")

    @property
    def reference_micros(self) -> int:
        return self.weeks * 7 * DAY_MICROS

    @model_validator(mode="after")
    def _by_the_day(self) -> Self:
        if self.window != "day":
            raise ValueError("volume compares weekdays: it needs `window: day`")
        if self.minimum_weeks > self.weeks:
            raise ValueError(f"minimum_weeks {self.minimum_weeks} is more than weeks {self.weeks}")
        return self


class Drift(OneTopic):
    """Distance of a field's distribution from that of the windows before (see `statistics.jensen_shannon`).

    For a field of some hundred values at most: each value is counted.
    """

    kind: Literal["drift"]
    field: EventField
    reference_windows: int = Field(28, ge=2, le=400, description="How many windows before make the reference.")
    minimum_reference: int = Field(7, ge=1, description="Fewer of them with events are too little to compare with.")
    maximum_divergence: Share = Field(description="Greatest Jensen-Shannon divergence, base 2.")

    @property
    def reference_micros(self) -> int:
        return self.reference_windows * self.window_micros

    @model_validator(mode="after")
    def _reference_fits(self) -> Self:
        if self.minimum_reference > self.reference_windows:
            raise ValueError(
                f"minimum_reference {self.minimum_reference} is more than reference_windows {self.reference_windows}"
            )
        return self


class KnownAccounts(OneTopic):
    """Share of a source's events that wait in the quarantine because nobody knows their account."""

    kind: Literal["known_accounts"]
    maximum_share: Share = Field(description="Greatest share of events in the quarantine.")


class Sequence(OneTopic):
    """Share of accounts with more events of the later kind than of the earlier one that each of them needs."""

    cumulative: ClassVar[bool] = True

    kind: Literal["sequence"]
    earlier: str = Field(description="Kind that comes first, such as support.ticket_opened.")
    later: str = Field(description="Kind that cannot be without it, such as support.ticket_solved.")
    maximum_share: Share = Field(description="Greatest share of accounts.")

    @model_validator(mode="after")
    def _kinds_are_these(self) -> Self:
        if self.kinds and set(self.kinds) != {self.earlier, self.later}:
            raise ValueError("`kinds` follows from `earlier` and `later`: leave it out")
        return self

    @cached_property
    def signs(self) -> dict[str, int]:
        """What an event of each kind adds to its account's balance."""
        return {self.earlier: 1, self.later: -1}


class Side(BaseModel):
    """Accounts with any event of some kinds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: Topic
    kinds: tuple[str, ...] = Field(min_length=1)


class CrossSource(Declaration):
    """Agreement of two sources about which accounts there are: those that both know, over those that either knows."""

    cumulative: ClassVar[bool] = True

    kind: Literal["cross_source"]
    left: Side
    right: Side
    minimum_share: Share = Field(description="Least share of accounts that both sides know.")

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.left.topic, self.right.topic)))

    @model_validator(mode="after")
    def _over_all_sources(self) -> Self:
        if self.sources:
            raise ValueError("`sources` has no meaning here: a side is told by topic and kinds")
        return self


class Freshness(Declaration):
    """How far a connector's stream is behind the furthest stream, at the end of each window of the wall clock.

    Source time against source time, so that a simulated clock does not matter.
    """

    cumulative: ClassVar[bool] = True

    kind: Literal["freshness"]
    maximum_lag_seconds: int = Field(ge=1, description="Greatest lag in source seconds.")

    @property
    def topics(self) -> tuple[str, ...]:
        return ()

    @model_validator(mode="after")
    def _no_gates(self) -> Self:
        if self.gates:
            raise ValueError("freshness has no gates: its windows are of the wall clock, which ticks are not")
        return self


Check = Completeness | Uniqueness | Validity | Volume | Drift | KnownAccounts | Sequence | CrossSource | Freshness

_CHECK: TypeAdapter[Check] = TypeAdapter(Annotated[Check, Field(discriminator="kind")])


def parse_check(declared: Any) -> Check:
    """The check in a parsed YAML document.

    Raises:
        InvalidCheckError: each mistake with its place.
    """
    if not isinstance(declared, dict):
        raise InvalidCheckError("a check is a mapping of settings")
    try:
        return _CHECK.validate_python(declared)
    except ValidationError as error:
        raise InvalidCheckError("; ".join(_mistake(each) for each in error.errors())) from error


def _mistake(problem: Any) -> str:
    # The first part of a place is the kind by which the model was chosen, which nobody wrote there.
    place = ".".join(str(part) for part in problem["loc"][1:])
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def declaration_schema() -> dict[str, Any]:
    """JSON schema of a declaration."""
    return _CHECK.json_schema()

"""Segments of a health model: which accounts weigh the signals in another way. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

EVERYONE = "everyone"
"""The segment of an account that none of a model's segments takes."""

ATTRIBUTES = ("plan", "segment", "region", "owner")
"""What a segment may ask of an account's profile, besides its ARR."""

ProfileFacts = Mapping[str, Any]
"""An account's profile as of an instant: `ATTRIBUTES` as text or None, `arr` as Decimal or None."""


@dataclass(frozen=True)
class Segment:
    """Accounts whose profile fits, and what differs for them.

    Attributes:
        wanted: by attribute, the values that fit.
        least_arr, below_arr: bounds of the ARR in major units, the lower one inclusive, the upper one exclusive.
        weights: by signal, the weight instead of the signal's own; 0: the signal does not apply.
    """

    name: str
    label: str
    wanted: Mapping[str, frozenset[str]]
    least_arr: Decimal | None
    below_arr: Decimal | None
    weights: Mapping[str, int]

    def takes(self, profile: ProfileFacts) -> bool:
        """Whether a profile fits every condition. What it does not say fits none."""
        if any(profile.get(attribute) not in values for attribute, values in self.wanted.items()):
            return False
        if self.least_arr is None and self.below_arr is None:
            return True
        arr = profile.get("arr")
        return (
            arr is not None
            and (self.least_arr is None or arr >= self.least_arr)
            and (self.below_arr is None or arr < self.below_arr)
        )


def parse_segment(entry: Mapping[str, Any]) -> Segment:
    """A segment's entry in the model, which already fits the JSON schema."""
    when = entry["when"]
    bounds = when.get("arr", {})
    return Segment(
        entry["name"],
        entry["label"],
        {attribute: frozenset(when[attribute]) for attribute in ATTRIBUTES if attribute in when},
        Decimal(str(bounds["from"])) if "from" in bounds else None,
        Decimal(str(bounds["below"])) if "below" in bounds else None,
        dict(entry.get("weights", {})),
    )


def segment_code(segments: tuple[Segment, ...], profile: ProfileFacts | None) -> int:
    """0 for everyone, else 1 + the place of the first segment that takes the profile: the order is the precedence."""
    if profile is None:
        return 0
    return next((code for code, segment in enumerate(segments, 1) if segment.takes(profile)), 0)

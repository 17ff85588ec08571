"""The rhythm of timestamps: which step they have, what is missing, what comes next, and how they were written. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from vitals.errors import UserError

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

_SUGGESTED = {
    "business days": (5,),
    "days": (7, 365),
    "weeks": (52,),
    "months": (12,),
    "quarters": (4,),
    "years": (),
}


_EPOCH_UNITS = ((1e17, "1e-9"), (1e14, "1e-6"), (1e11, "1e-3"), (0.0, "1"))


@dataclass(frozen=True)
class Rhythm:
    """A step: `months` of the calendar, or `length` of time. Business days are days without Saturdays and Sundays."""

    name: str
    length: timedelta = timedelta(0)
    months: int = 0
    at_month_end: bool = False
    business: bool = False

    def next_after(self, instant: datetime, steps: int) -> datetime:
        """The instant so many steps later."""
        if self.months:
            return _months_later(instant, steps * self.months, self.at_month_end)
        if self.business:
            later = instant
            for _ in range(steps):
                later += DAY
                while later.weekday() > 4:
                    later += DAY
            return later
        return instant + steps * self.length

    def place(self, start: datetime, instant: datetime) -> int | None:
        """How many steps after the start an instant is; None where it is between two."""
        if self.months:
            months = (instant.year - start.year) * 12 + instant.month - start.month
            return months // self.months if months % self.months == 0 else None
        if self.business:
            if instant.weekday() > 4:
                return None
            days = (instant - start).days
            return days - 2 * ((days + start.weekday()) // 7)
        steps, rest = divmod(instant - start, self.length)
        return None if rest else steps

    def suggested_seasons(self) -> tuple[int, ...]:
        """Lengths of seasons that people's calendars suggest at this step."""
        if self.name in _SUGGESTED:
            return _SUGGESTED[self.name]
        a_day, rest = divmod(DAY, self.length)
        return (a_day, 7 * a_day) if not rest and 1 < a_day <= 1440 else ()


def rhythm_of(instants: Sequence[datetime]) -> Rhythm:
    """The step of sorted, distinct instants, at least two.

    Raises:
        UserError: they have none.
    """
    if _at_months(instants):
        steps = [(b.year - a.year) * 12 + b.month - a.month for a, b in pairwise(instants)]
        months = min(steps)
        if months > 0 and all(step % months == 0 for step in steps):
            name = {1: "months", 3: "quarters", 12: "years"}.get(months, f"{months} months")
            return Rhythm(name, months=months, at_month_end=all(_is_month_end(each) for each in instants))
    gaps = Counter(b - a for a, b in pairwise(instants))
    step = min((gap for gap, count in gaps.items() if count >= 0.05 * len(instants)), default=min(gaps))
    whole = sum(count for gap, count in gaps.items() if gap % step == timedelta(0))
    if whole < 0.95 * sum(gaps.values()):
        common = ", ".join(str(gap) for gap, _ in gaps.most_common(3))
        raise UserError(f"The timestamps have no regular step: they are {common} apart. Bring them to one first.")
    if step == DAY and len(instants) >= 6 and all(each.weekday() < 5 for each in instants):
        return Rhythm("business days", DAY, business=True)
    names = {DAY: "days", 7 * DAY: "weeks", timedelta(hours=1): "hours", timedelta(minutes=1): "minutes"}
    return Rhythm(names.get(step, str(step)), step)


def writer_like(text: str) -> str:
    """How a timestamp was written: a format of `strftime`, or `epoch:<unit in seconds>`.

    >>> writer_like("2026-11-01"), writer_like("2026-11-01T00:00:00Z"), writer_like("1793523600")
    ('%Y-%m-%d', '%Y-%m-%dT%H:%M:%SZ', 'epoch:1')
    """
    text = text.strip()
    if len(text) == 8 and text.isdigit():
        return "%Y%m%d"
    try:
        number = abs(float(text))
    except ValueError:
        pass
    else:
        return f"epoch:{next(unit for least, unit in _EPOCH_UNITS if number >= least)}"
    if len(text) == 7:
        return "%Y-%m"
    if len(text) == 10:
        return "%Y-%m-%d"
    between = "T" if "T" in text else " "
    clock = "%H:%M:%S" if text.count(":") >= 2 and "+" not in text[10:16] else "%H:%M"
    zone = "Z" if text.endswith("Z") else "+00:00" if "+" in text[10:] or "-" in text[10:] else ""
    return f"%Y-%m-%d{between}{clock}{zone}"


def written(instant: datetime, form: str) -> str:
    """An instant as the file writes its timestamps."""
    if form.startswith("epoch:"):
        return f"{instant.timestamp() / float(form.removeprefix('epoch:')):.0f}"
    return instant.astimezone(UTC).strftime(form)


def _at_months(instants: Sequence[datetime]) -> bool:
    same_clock = len({each.time() for each in instants}) == 1
    months = len({(each.year, each.month) for each in instants}) == len(instants)
    same_day = len({each.day for each in instants}) == 1 or all(_is_month_end(each) for each in instants)
    return same_clock and months and same_day


def _is_month_end(instant: datetime) -> bool:
    return (instant + DAY).month != instant.month


def _months_later(instant: datetime, months: int, at_end: bool) -> datetime:
    year, month = divmod(instant.year * 12 + instant.month - 1 + months, 12)
    first = instant.replace(year=year, month=month + 1, day=1)
    following = (first + 32 * DAY).replace(day=1)
    last = (following - DAY).day
    return first.replace(day=last if at_end else min(instant.day, last))

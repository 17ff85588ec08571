"""Why accounts decline, and how each cause shows: which signal moves when, and how far.

Figures are made up to look plausible; they are fitted to no data. What matters is that the causes differ: usage leads
in some, follows in others, and hardly moves in one, and that tickets rise with some and fall silent with others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SIGNALS = ("users", "breadth", "depth", "tickets", "resolution", "payments", "contact", "sentiment")
"""What a cause moves. At full depth a strength is added to the logit of the share of users who are active, of the
breadth of features, of a failed payment and of a content answer, and to the logarithm of use a user (`depth`), tickets,
hours to solve one, and the manager's meetings with the account (`contact`)."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for a decline.

    `weight` is how often it comes, relative to the others; `ramp_days` the shortest and the longest time from the first
    move of a signal to its full strength; `moves` gives each signal's delay in days and its strength at full depth.
    """

    weight: float
    ramp_days: tuple[int, int]
    moves: Mapping[str, tuple[int, float]]


POOR_ONBOARDING = "poor_onboarding"

CAUSES: Mapping[str, Cause] = {
    "champion_left": Cause(
        0.2,
        (30, 60),
        {
            "contact": (0, -1.6),
            "sentiment": (10, -0.8),
            "breadth": (14, -1.4),
            "depth": (21, -0.8),
            "tickets": (30, -0.4),
            "users": (40, -1.8),
        },
    ),
    "product_issue": Cause(
        0.18,
        (20, 45),
        {
            "tickets": (0, 1.3),
            "sentiment": (3, -1.8),
            "resolution": (5, 0.7),
            "contact": (10, 0.3),
            "depth": (14, -0.9),
            "breadth": (21, -0.8),
            "users": (35, -1.8),
        },
    ),
    "support_breakdown": Cause(
        0.14,
        (20, 45),
        {
            "resolution": (0, 1.5),
            "sentiment": (7, -1.8),
            "tickets": (10, 0.6),
            "contact": (30, -0.6),
            "depth": (35, -0.8),
            "users": (45, -1.8),
        },
    ),
    "budget_cut": Cause(
        0.16,
        (30, 60),
        {
            "contact": (0, -0.5),
            "payments": (5, 4.6),
            "sentiment": (20, -0.4),
            "users": (45, -1.5),
            "breadth": (50, -0.4),
            "depth": (60, -0.3),
        },
    ),
    "competitor": Cause(
        0.18,
        (30, 75),
        {
            "breadth": (0, -1.5),
            "depth": (7, -1.1),
            "tickets": (14, -0.8),
            "users": (30, -2.0),
            "contact": (30, -1.2),
            "sentiment": (40, -0.6),
        },
    ),
    "seat_contraction": Cause(
        0.14,
        (10, 30),
        {
            "users": (0, -2.8),
            "tickets": (7, -0.5),
            "contact": (14, -0.3),
            "sentiment": (20, -0.3),
            "payments": (30, 1.2),
        },
    ),
    # Only ever at the beginning of an account, so it has no part in the lot that the others are drawn from.
    POOR_ONBOARDING: Cause(
        0.0,
        (10, 25),
        {
            "breadth": (0, -2.0),
            "users": (0, -2.0),
            "tickets": (0, 0.6),
            "depth": (5, -0.5),
            "sentiment": (14, -1.0),
            "contact": (20, -0.6),
        },
    ),
}

NAMES = tuple(CAUSES)

_MOVES = [[cause.moves.get(signal, (0, 0.0)) for signal in SIGNALS] for cause in CAUSES.values()]
LAGS: Floats = np.array([[lag for lag, _ in moves] for moves in _MOVES], dtype=np.float64)
"""Days from an episode's start to the first move, by [cause, signal]."""
STRENGTHS: Floats = np.array([[strength for _, strength in moves] for moves in _MOVES])
"""What full depth adds, by [cause, signal]."""


def drawn(chance: float) -> int:
    """The place in `NAMES` of the cause that a chance from 0 to 1 falls on, by weight."""
    edges = np.cumsum([cause.weight for cause in CAUSES.values()])
    return int(np.searchsorted(edges, chance * edges[-1], side="right"))

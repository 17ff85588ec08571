"""docs/simulation.md names every cause, trait, outcome, option and field of the truth."""

import inspect
import re
from pathlib import Path

from connectors.simulation.causes import CAUSES, POOR_ONBOARDING
from connectors.simulation.cli import simulate
from connectors.simulation.crm_records import SCHEMAS
from connectors.simulation.generated import generate
from connectors.simulation.truth_records import truth
from connectors.simulation.working_calendar import SEASONS
from connectors.simulation.world import World

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "simulation.md").read_text()


def test_causes_are_documented_with_the_delays_that_they_have() -> None:
    for name, cause in CAUSES.items():
        row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{name}` |"))
        delays = {
            int(number) for number in re.findall(r"\((\d+)\)|after (\d+) days", row) for number in number if number
        }
        known = {lag for lag, _ in cause.moves.values()}
        assert delays <= known, name
        if name != POOR_ONBOARDING:
            assert cause.moves["users"][0] in delays | {0}


def test_traits_outcomes_options_and_fields_are_documented(world: World) -> None:
    options = {"--seed", "--accounts", "--history-days", "--speed"}
    assert options <= {name for option in simulate.params for name in option.opts}
    fields = {name for name in SCHEMAS["Account"] if name.startswith(("Contract", "Notice", "Auto", "Seats", "ARR"))}
    told = truth(world, world.history_end, daily=False)
    names = {*told, *told["accounts"][0]}
    for word in {*options, *fields, *SEASONS[1:], "silent", "recovered", "contracted", "churned", "ongoing"}:
        assert f"`{word}`" in TEXT, word
    for name in names:
        assert f'"{name}"' in TEXT, name
    assert inspect.signature(generate).parameters["accounts"].default == 300

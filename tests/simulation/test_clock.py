"""Source time never goes backwards, whatever happens to the process."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.simulation.clock import SourceClock
from tests.simulation.conftest import Wall
from vitals.errors import UserError


def test_runs_at_its_speed(wall: Wall) -> None:
    clock = SourceClock(1_000_000, speed=60, wall=wall)
    wall.seconds += 10
    assert clock.now() == 1_000_600


def test_stands_still_while_paused_and_goes_on_without_a_jump(wall: Wall) -> None:
    clock = SourceClock(0, speed=10, wall=wall)
    clock.change(paused=True)
    wall.seconds += 100
    assert clock.now() == 0
    clock.change(paused=False)
    wall.seconds += 1
    assert clock.now() == 10


def test_a_change_of_speed_does_not_move_it(wall: Wall) -> None:
    clock = SourceClock(0, speed=1, wall=wall)
    wall.seconds += 5
    clock.change(speed=100)
    assert clock.now() == 5
    wall.seconds += 1
    assert clock.now() == 105


def test_refuses_to_go_back(wall: Wall) -> None:
    clock = SourceClock(100, wall=wall)
    with pytest.raises(UserError):
        clock.change(advance_to=99)
    with pytest.raises(UserError):
        clock.change(speed=-1)


def test_a_clean_stop_continues_exactly(wall: Wall, tmp_path: Path) -> None:
    path = tmp_path / "state" / "clock.json"
    clock = SourceClock(0, speed=60, wall=wall, path=path)
    wall.seconds += 2
    clock.close()
    wall.seconds += 1_000
    assert SourceClock(0, speed=60, wall=wall, path=path).now() == 120


def test_an_explicit_later_start_wins_and_an_earlier_one_does_not(wall: Wall, tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    SourceClock(500, speed=0, wall=wall, path=path).close()
    assert SourceClock(100, wall=wall, path=path).now() == 500
    assert SourceClock(900, wall=wall, path=path).now() == 900


@given(
    steps=st.lists(st.tuples(st.floats(0, 20), st.sampled_from(["wait", "kill", "pause", "go", "fast"])), max_size=30)
)
def test_no_kill_makes_it_go_back(steps: list[tuple[float, str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    wall, path = Wall(), tmp_path_factory.mktemp("clock") / "clock.json"
    clock, latest = SourceClock(0, speed=60, wall=wall, path=path), 0.0
    for seconds, action in steps:
        wall.seconds += seconds
        if action == "kill":
            clock = SourceClock(0, speed=60, wall=wall, path=path)
        elif action != "wait":
            clock.change(paused=action == "pause", speed=600 if action == "fast" else None)
        assert clock.now() >= latest
        latest = clock.now()


def test_a_damaged_file_is_named(wall: Wall, tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    path.write_text("{")
    with pytest.raises(UserError, match=r"clock\.json"):
        SourceClock(0, wall=wall, path=path)

"""One running pipeline for the whole suite: a year of real activity, source time under way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.deployment import Deployment
from tests.faults.pipeline import pipeline, year_of_git_usage

ROOT = Path(__file__).resolve().parents[2]
START = "2024-01-02T06:00:00Z"
"""After the last bills of the year, and early in a day: nothing but what a test does happens for 18 hours."""
SPEED = 60.0


@pytest.fixture(scope="package")
def loaded(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The pipeline once all of 2023 is in, with source time still standing."""
    if not (ROOT / "dashboard" / "dist" / "index.html").is_file():
        pytest.fail("The page is not built: run `make page` first.")
    year = year_of_git_usage(data_dir, tmp_path_factory.mktemp("year"), "2023")
    with pipeline(tmp_path_factory.mktemp("acceptance") / "state", year, START) as running:
        running.wait_complete()
        yield Deployment(running)


@pytest.fixture(scope="package")
def vitals(loaded: Deployment) -> Deployment:
    """The pipeline with source time under way."""
    loaded.set_speed(SPEED)
    return loaded

"""Fixtures of the long suite."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

Facts = Callable[[str, str], None]


@pytest.fixture(scope="session")
def facts() -> Facts:
    """Records a figure for the report of `make verify` (and prints it)."""
    path = os.environ.get("VITALS_VERIFY_FACTS")

    def record(what: str, figure: str) -> None:
        print(f"{what}: {figure}")
        if path:
            with Path(path).open("a") as file:
                file.write(json.dumps({"what": what, "figure": figure}) + "\n")

    return record

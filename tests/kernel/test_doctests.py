"""Every example in a docstring runs."""

import doctest
import importlib
import pkgutil

import pytest

from vitals.discovery import TOP_LEVEL_PACKAGES

# Importing these starts a program, needs Alembic's context, or an engine that has an environment of its own.
NOT_IMPORTED = ("__main__", "migrations", "rollup_job", "scores_job", "spark_main")


def modules() -> list[str]:
    names = []
    for package in (*TOP_LEVEL_PACKAGES, "analytics"):
        try:
            root = importlib.import_module(package)
        except ModuleNotFoundError:
            continue  # a package of later work
        names += [package, *(info.name for info in pkgutil.walk_packages(root.__path__, f"{package}."))]
    return [name for name in names if not any(part in NOT_IMPORTED for part in name.split("."))]


@pytest.mark.parametrize("name", modules())
def test_examples_run(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.failed == 0

"""Discovery: components are found by walking packages, never listed."""

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from types import ModuleType

TOP_LEVEL_PACKAGES = (
    "vitals",
    "schemas",
    "connectors",
    "metrics",
    "models",
    "streams",
    "sinks",
    "api",
    "embedded",
    "batch",
    "alerts",
)


def modules_named(leaf: str, roots: tuple[str, ...] = TOP_LEVEL_PACKAGES) -> Iterator[ModuleType]:
    """Every module called `leaf` in any folder below the given packages, in a stable order.

    >>> [module.__name__ for module in modules_named("clock", ("vitals",))]
    ['vitals.clock']
    """
    for root in roots:
        spec = importlib.util.find_spec(root)
        if spec is None or spec.submodule_search_locations is None:
            continue
        found = sorted(
            info.name
            for info in pkgutil.walk_packages(spec.submodule_search_locations, f"{root}.")
            if info.name.rpartition(".")[2] == leaf
        )
        for name in found:
            yield importlib.import_module(name)

"""The simulated vendors, found by walking the connectors' folders: each has a `simulator.py`.

Such a module says `NAME`, `create_app(simulation)`, `FAULTS` (the kinds of fault that only this vendor has, with what
each does) and `declared(world, now)` (how many objects of each kind it shows at a source time).
A vendor that sends webhooks has a `simulated_webhooks.py` beside it with `WEBHOOKS`.
"""

from collections.abc import Mapping
from functools import cache
from types import ModuleType

from connectors.simulation.vendor_webhooks import VendorWebhooks
from connectors.simulation.world import World
from vitals.discovery import modules_named


@cache
def simulators() -> Mapping[str, ModuleType]:
    """Every simulator's module by its vendor's name."""
    return {module.NAME: module for module in modules_named("simulator", ("connectors",))}


@cache
def senders() -> Mapping[str, VendorWebhooks]:
    """What each vendor that has webhooks sends, by its name."""
    found = [module.WEBHOOKS for module in modules_named("simulated_webhooks", ("connectors",))]
    return {webhooks.name: webhooks for webhooks in found}


def declared(world: World, now: int) -> dict[str, dict[str, int]]:
    """How many objects of each kind every vendor shows at source time `now`: what a pipeline's counts add up to."""
    return {name: module.declared(world, now) for name, module in simulators().items()}

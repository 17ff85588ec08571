"""docs/connectors.md names every stream, every kind of event and every setting."""

import inspect
from pathlib import Path

import orjson
import pytest

from connectors.catalogue import connector_modules
from connectors.simulation.vendors import simulators
from connectors.vendor_settings import VendorSettings
from tests.connectors import golden
from tests.connectors.simulated import SIMULATOR_URL
from vitals.settings import Settings

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "connectors.md").read_text()


@pytest.mark.parametrize("name", simulators())
def test_streams_and_settings_are_documented(name: str) -> None:
    module = connector_modules()[name]
    for stream in module.create(Settings(simulator_url=SIMULATOR_URL)):
        assert f"`{stream.name}`" in TEXT
    own = [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, VendorSettings) and one is not VendorSettings
    ]
    assert own
    for settings in own:
        for field, described in settings.model_fields.items():
            assert described.description
            assert f"`{settings.model_config['env_prefix']}{field.upper()}`" in TEXT


def test_every_kind_is_documented() -> None:
    for path in golden.files():
        for event in orjson.loads(path.read_bytes()).get("mapped", {}).get("events", ()):
            assert f"`{event['kind']}`" in TEXT

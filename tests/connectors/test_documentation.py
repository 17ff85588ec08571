"""docs/connectors.md names every stream; the generated pages hold every setting and kind of event, and are current."""

from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest

from connectors.catalogue import connector_modules
from connectors.setup.reference import PAGES, pages
from connectors.simulation.vendors import simulators
from connectors.vendor_settings import settings_of
from tests.connectors import golden
from tests.connectors.simulated import SIMULATOR_URL, conformance
from vitals.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
OVERVIEW = (ROOT / "docs" / "connectors.md").read_text()


@pytest.fixture(scope="module")
def made() -> Mapping[str, str]:
    """Every page as the code makes it now."""
    return pages()


@pytest.mark.parametrize("name", simulators())
def test_the_page_of_reference_is_current(name: str, made: Mapping[str, str]) -> None:
    page = PAGES / f"{name}.md"
    written = page.read_text() if page.exists() else ""
    assert written == made[name], "run `vitals connectors reference --write`"


@pytest.mark.parametrize("name", simulators())
def test_streams_settings_and_kinds_are_documented(name: str, made: Mapping[str, str]) -> None:
    module, text = connector_modules()[name], made[name]
    for stream in module.create(Settings(simulator_url=SIMULATOR_URL)):
        assert f"`{stream.name}`" in text
        # An overview that tells of a connector tells of all its streams; a new connector begins with its own page.
        assert f"`{stream.name}`" in OVERVIEW or f"`{name}." not in OVERVIEW
    assert settings_of(module)
    for settings in settings_of(module):
        for field, described in settings.model_fields.items():
            assert described.description
            assert f"| `{settings.variable(field)}` | {described.description} |" in text
    for kind in conformance()[name].kinds:
        assert f"`{kind}`" in text


@pytest.mark.parametrize("name", simulators())
def test_every_golden_kind_is_on_its_page(name: str, made: Mapping[str, str]) -> None:
    for path in golden.files():
        if path.parent.parent.name == name:
            for event in orjson.loads(path.read_bytes()).get("mapped", {}).get("events", ()):
                assert f"`{event['kind']}`" in made[name]

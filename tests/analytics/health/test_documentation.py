"""docs/health.md says of each signal, weight and band what the model says."""

import re
from pathlib import Path

from models.loader import read_model

PAGE = (Path(__file__).parents[3] / "docs" / "health.md").read_text()
MODEL = read_model()


def test_every_signal_is_described_with_its_group_and_weight() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\d+) \|", PAGE, re.MULTILINE)
    assert rows == [(signal.name, signal.group, str(signal.weight)) for signal in MODEL.signals]


def test_bands_and_version_are_the_models() -> None:
    assert f"version `{MODEL.version}`" in PAGE
    bounds = {band.name: band.lower // 1_000_000 for band in MODEL.bands}
    expected = f"`healthy` from {bounds['healthy']}, `watch` from {bounds['watch']} to below {bounds['healthy']}"
    assert expected in PAGE

"""Runs the detector over whole series."""

import numpy as np

from analytics.detection.detector import Detector
from tests.detection.planted import START, Floats


def answers_of(values: Floats, times: Floats | None = None) -> Floats:
    """Every answer. `times`: seconds since 1970, by default an hour apart."""
    seconds = START + np.arange(len(values)) * 3600.0 if times is None else times
    return Detector().follow(seconds * 1e6, np.asarray(values, dtype=np.float64))

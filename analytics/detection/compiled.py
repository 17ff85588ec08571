"""Compilation, and where its results are kept: a compiled function is as old as every source file of this folder.

Numba's own cache looks at the file of the outermost function only, and would go on with an old inner one.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit

from vitals.cache import cache_folder


def _sources() -> str:
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


setattr(config, "CACHE_DIR", str(cache_folder() / "compiled" / _sources()))  # noqa: B010  # it has no types

compiled: Callable[[Any], Any] = njit(cache=True)

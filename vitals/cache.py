"""Where this user's downloads, environments of large engines and compiled code are kept."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The folder; `VITALS_CACHE_DIR` moves it."""
    forced = os.environ.get("VITALS_CACHE_DIR")
    return Path(forced).absolute() if forced else Path(platformdirs.user_cache_dir("vitals"))

"""Named SQL statements from a `.sql` file: each follows a line `-- name: <name>`."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(path: Path) -> Mapping[str, LiteralString]:
    """The statements of a file by name."""
    _, *parts = _NAME.split(path.read_text())
    # They come from this package's own files, which is as literal as a literal.
    return MappingProxyType(
        {
            name: cast("LiteralString", text.strip().rstrip(";"))
            for name, text in zip(parts[::2], parts[1::2], strict=True)
        }
    )

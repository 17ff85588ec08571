"""Records whose unions name a branch that there is none of. Pure.

Polars takes every branch but the first one of `["null", X]` for X, where the reference refuses a number beyond the
second. So the bytes of a batch are walked once, all records abreast, from field to field, as far as the last union.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Offsets = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_MORE = 0x80
_LONGEST = 10
"""Bytes of a number of 64 bits."""
_NULL, _VALUE = 0, 2
"""The two branches, as they are written."""


def foreign_branches(data: Bytes, starts: Offsets, types: Sequence[Any]) -> NDArray[np.bool_]:
    """Which records have a union whose branch is not written as null or the other type.

    data: bytes of records that fit their schema but for this, and at least ten more. starts: first byte of each. types:
    of the fields, without documentation. The answer is as long as `starts`.
    """
    foreign = np.zeros(len(starts), dtype=np.bool_)
    at = starts.copy()
    unions = [number for number, kind in enumerate(types) if isinstance(kind, list)]
    for kind in types[: max(unions, default=-1) + 1]:
        if isinstance(kind, list):
            branch = data[at]
            foreign |= (branch != _NULL) & (branch != _VALUE)
            present = np.flatnonzero(branch == _VALUE)
            at += 1
            at[present] = _after(data, at[present], kind[1])
        else:
            at = _after(data, at, kind)
        # Beyond a foreign branch nothing is where it seems.
        np.minimum(at, len(data) - _LONGEST, out=at)
    return foreign


def _after(data: Bytes, at: Offsets, kind: Any) -> Offsets:
    """Where the next field begins."""
    name = kind["type"] if isinstance(kind, dict) else kind
    if name == "boolean":
        return at + 1
    if name == "double":
        return at + 8
    if name in ("long", "int"):
        last: Offsets = np.argmax(sliding_window_view(data, _LONGEST)[at] < _MORE, axis=1)
        return at + last + 1
    if name in ("string", "bytes"):
        start, length = _number(data, at)
        return start + np.clip(length, 0, len(data))
    raise ValueError(f"fields of type {name} are not walked")


def _number(data: Bytes, at: Offsets) -> tuple[Offsets, Offsets]:
    """Where the field after a length begins, and the length."""
    octet = data[at]
    number = (octet & 0x7F).astype(np.int64)
    at = at + 1
    going_on = np.flatnonzero(octet & _MORE)
    for place in range(1, _LONGEST):
        if not going_on.size:
            break
        octet = data[np.minimum(at[going_on], len(data) - 1)]
        number[going_on] |= (octet & 0x7F).astype(np.int64) << 7 * place
        at[going_on] += 1
        going_on = going_on[(octet & _MORE) != 0]
    return at, number >> 1

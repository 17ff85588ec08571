"""Ids and partitions of many rows at once: a mixer that makes ids of numbers, hexadecimal text, murmur2."""

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_HEX = np.frombuffer("".join(f"{number:02x}" for number in range(256)).encode(), np.uint8).reshape(256, 2)


def mixed(numbers: NDArray[np.int64], seed: int) -> Bytes:
    """16 bytes a number that look random: two steps of splitmix64 (Steele, Lea and Flood, 2014)."""
    halves = []
    with np.errstate(over="ignore"):
        for half in range(2):
            state = numbers.astype(np.uint64) * np.uint64(2) + np.uint64(half + 1) + np.uint64(seed << 40)
            state *= np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            halves.append(state ^ (state >> np.uint64(31)))
    return np.stack(halves, axis=1).astype(">u8").view(np.uint8).reshape(-1, 16)


def hex_of(rows: Bytes) -> Bytes:
    """Hexadecimal text of rows of bytes."""
    return _HEX[rows].reshape(len(rows), -1)


def uuids_of(rows: Bytes) -> Bytes:
    """Rows of 16 bytes as the text of a UUID: 36 bytes."""
    digits = hex_of(rows)
    hyphen = np.full((len(rows), 1), ord("-"), np.uint8)
    groups = [digits[:, :8], digits[:, 8:12], digits[:, 12:16], digits[:, 16:20], digits[:, 20:]]
    return np.hstack([part for group in groups for part in (group, hyphen)][:-1])


def murmur2(keys: Bytes) -> NDArray[np.uint32]:
    """Kafka's hash of keys whose length is a multiple of four bytes."""
    length = keys.shape[1]
    assert length % 4 == 0
    mixer = np.uint32(0x5BD1E995)
    words = np.ascontiguousarray(keys).view("<u4").astype(np.uint32)
    with np.errstate(over="ignore"):
        hashed = np.full(len(keys), 0x9747B28C ^ length, np.uint32)
        for column in words.T:
            word = column * mixer
            word = (word ^ (word >> np.uint32(24))) * mixer
            hashed = (hashed * mixer) ^ word
        hashed = (hashed ^ (hashed >> np.uint32(13))) * mixer
        return hashed ^ (hashed >> np.uint32(15))

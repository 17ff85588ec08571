"""Vendor-looking ids, each a pure function of a text key, so that every run of a world gives the same ids."""

import hashlib
from functools import lru_cache

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def hashed(key: str) -> int:
    """A stable 128-bit integer of a key; the seeded rules of a world draw from it."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest())


# A world that grows is put together again, with the ids that it had.
@lru_cache(maxsize=2**17)
def base62(key: str, length: int) -> str:
    """`length` letters and digits made from a key."""
    number, letters = hashed(key), []
    for _ in range(length):
        number, digit = divmod(number, 62)
        letters.append(_BASE62[digit])
    return "".join(letters)


def salesforce_id(prefix: str, key: str) -> str:
    """An 18-character Salesforce id whose last three characters are the checksum of the letters' case."""
    short = f"{prefix}5e00{base62(key, 8)}"
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, letter in enumerate(short[start : start + 5]) if letter.isupper())
        suffix += _CHECKSUM[bits]
    return short + suffix


def stripe_id(prefix: str, key: str) -> str:
    """An id such as `cus_` and 14 letters."""
    return f"{prefix}_{base62(f'{prefix}:{key}', 14)}"


def insert_id(key: str) -> str:
    """A Mixpanel `$insert_id`: 36 hexadecimal characters, its documented limit."""
    return hashlib.blake2b(key.encode(), digest_size=18).hexdigest()


def numeric_id(key: str, base: int) -> int:
    """A numeric id above `base`, within what JSON readers hold exactly."""
    return base + hashed(key) % 10**11

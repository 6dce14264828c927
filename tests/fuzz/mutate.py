"""Ways to damage a file, and which of its bytes were touched."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

EXTREMES = [b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x7f\xff\xff\xff"]
EXTREMES += [b"\x01\x00\x00\x00", b"\x00" * 8, b"\xff" * 8, b"\xff\xff\xff\xff\xff\xff\xff\x7f"]
HEADER = 128  # bytes in which lengths and versions stand


class Mutant(NamedTuple):
    """A damaged file."""

    data: bytes
    kind: str
    touched: list[tuple[int, int]]  # ranges of the original that were changed, moved or removed


def mutate(data: bytes, rng: np.random.Generator) -> Mutant:
    """Damage a file once, or a few times in the same way."""
    kind = KINDS[int(rng.integers(len(KINDS)))]
    damaged, touched = _MUTATIONS[kind](bytearray(data), rng)
    return Mutant(damaged, kind, touched)


def _place(data: bytearray, rng: np.random.Generator, size: int = 1) -> int:
    """Return a random place, with `size` bytes behind it."""
    return int(rng.integers(max(len(data) - size, 0) + 1)) if len(data) >= size else 0


def flip_bits(data: bytearray, rng: np.random.Generator):
    """Flip up to eight bits anywhere."""
    places = rng.integers(len(data), size=int(rng.integers(1, 9))).tolist()
    for at in places:
        data[at] ^= 1 << int(rng.integers(8))
    return bytes(data), [(at, at + 1) for at in places]


def edit_header(data: bytearray, rng: np.random.Generator):
    """Replace up to three bytes near the beginning."""
    places = rng.integers(min(len(data), HEADER), size=int(rng.integers(1, 4))).tolist()
    for at in places:
        data[at] = int(rng.integers(256))
    return bytes(data), [(at, at + 1) for at in places]


def set_extreme(data: bytearray, rng: np.random.Generator):
    """Set four or eight bytes, a length perhaps, to an extreme value."""
    value = EXTREMES[int(rng.integers(len(EXTREMES)))]
    at = _place(data, rng, len(value))
    data[at : at + len(value)] = value
    return bytes(data), [(at, at + len(value))]


def truncate(data: bytearray, rng: np.random.Generator):
    """Cut the end off."""
    at = int(rng.integers(len(data)))
    return bytes(data[:at]), [(at, len(data))]


def insert(data: bytearray, rng: np.random.Generator):
    """Insert random bytes."""
    at = _place(data, rng)
    new = rng.bytes(int(rng.integers(1, 17)))
    return bytes(data[:at] + new + data[at:]), [(at - 1, at + 1)]


def delete(data: bytearray, rng: np.random.Generator):
    """Remove some bytes."""
    size = int(rng.integers(1, 33))
    at = _place(data, rng, size)
    return bytes(data[:at] + data[at + size :]), [(at - 1, at + size + 1)]


def swap(data: bytearray, rng: np.random.Generator):
    """Exchange two blocks of equal size."""
    size = int(rng.integers(1, max(len(data) // 4, 2)))
    a, b = sorted((_place(data, rng, size), _place(data, rng, size)))
    first, second = bytes(data[a : a + size]), bytes(data[b : b + size])
    data[a : a + size] = second
    data[b : b + size] = first
    return bytes(data), [(a, a + size), (b, b + size)]


def overwrite(data: bytearray, rng: np.random.Generator):
    """Fill a block with random bytes."""
    size = int(rng.integers(1, max(len(data) // 4, 2)))
    at = _place(data, rng, size)
    data[at : at + size] = rng.bytes(size)
    return bytes(data), [(at, at + size)]


_MUTATIONS = {
    function.__name__: function
    for function in (flip_bits, edit_header, set_extreme, truncate, insert, delete, swap, overwrite)
}
KINDS = tuple(_MUTATIONS)

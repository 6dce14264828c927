"""How a long Fourier transform is split into passes, and the roots of unity that it takes."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np


class Plan(NamedTuple):
    """How a transform is split: the radix of each pass, and the size of the blocks it splits.

    `starts` says where the roots of a pass begin in `table`.
    """

    radices: np.ndarray
    sizes: np.ndarray
    starts: np.ndarray
    table: np.ndarray


@functools.lru_cache(maxsize=64)
def make_plan(n: int, real: np.dtype) -> Plan:
    """Return the plan for `n` numbers, a power of two from 8 on."""
    exponent = n.bit_length() - 1
    radices = [2 ** (exponent % 3)] * (exponent % 3 > 0) + [8] * (exponent // 3)
    sizes = [n // math.prod(radices[:i]) for i in range(len(radices))]
    tables = [
        _roots(size, np.outer(np.arange(size // radix), np.arange(1, radix)), real)
        for size, radix in zip(sizes, radices, strict=True)
    ]
    starts = np.cumsum([0, *map(len, tables)])[:-1]
    index = [np.array(a, np.intp) for a in (radices, sizes, starts)]
    return Plan(index[0], index[1], index[2], np.concatenate(tables))


@functools.lru_cache(maxsize=64)
def half_roots(n: int, real: np.dtype) -> np.ndarray:
    """Return exp(-i pi t / n) for all t < n, as pairs of numbers."""
    return _roots(2 * n, np.arange(n), real)


def _roots(n: int, powers: np.ndarray, real: np.dtype) -> np.ndarray:
    """Return powers of exp(-2 pi i / n), rounded once, as a flat array of pairs of numbers."""
    angles = -2 * math.pi * (powers.ravel() % n) / n
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(real).ravel()

"""Where the frequencies of a tile lie, and the matrices that transform it."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np


class Tiling(NamedTuple):
    """How an axis of `size` positions is cut: tile i has `step`, from ``origin + i * step`` on.

    `halo` more belong to it on either side, as far as the axis reaches. Its transform counts from
    its position `center`, so that most positions have a mirror image; the spectra of two tilings
    can be multiplied if one has the center of the result, and the other one 0.
    """

    size: int
    origin: int
    step: int
    n: int
    halo: int
    center: int

    @property
    def extent(self) -> int:
        """Number of positions of a tile with its surroundings."""
        return min(self.size, self.step + 2 * self.halo)

    @property
    def reach(self) -> int:
        """Number of distances from the center, 0 among them, that occur in a tile."""
        before = self.halo if self.n > 1 else min(self.halo, self.origin)
        after = min(self.step + self.halo, self.size - self.origin) - 1
        return 1 + max(before + self.center, after - self.center)


class Grid(NamedTuple):
    """The size of a transform: positions of a tile, height and width."""

    height: int
    width: int

    @property
    def starts(self) -> np.ndarray:
        """First frequency of each column, and at the end the number of all."""
        return _starts(self)

    @property
    def mirrored(self) -> np.ndarray:
        """Whether a column is its own mirror image, so that half of it is enough."""
        return 2 * np.arange(self.width // 2 + 1) % self.width == 0

    @property
    def n_frequencies(self) -> int:
        """Number of frequencies that determine a real tile."""
        return int(self.starts[-1])


@functools.lru_cache(maxsize=256)
def _starts(grid: Grid) -> np.ndarray:
    sizes = np.where(grid.mirrored, grid.height // 2 + 1, grid.height)
    return np.cumsum([0, *sizes])


def round_up(n: int, multiple: int) -> int:
    """Return the next multiple."""
    return -(-n // multiple) * multiple


@functools.lru_cache(maxsize=256)
def turns(
    length: int, n_from: int, n_to: int, multiple: int, real: np.dtype
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return cos and sin of 2 pi a b / length for all a < n_from and b < n_to, flattened.

    Rows are filled up with zeros to a multiple; their length comes third.
    """
    return _flat(_angles(length, n_from, n_to), np.ones(n_from), multiple, real)


@functools.lru_cache(maxsize=256)
def inverse_turns(
    grid: Grid, n_to: int, multiple: int, real: np.dtype
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the same from the columns of a grid, as the last step to real numbers takes them."""
    # A column that is not its own mirror image stands for two.
    weights = np.where(grid.mirrored, 1, 2) / (grid.height * grid.width)
    return _flat(_angles(grid.width, len(weights), n_to), weights, multiple, real)


def _angles(length: int, n_from: int, n_to: int) -> np.ndarray:
    """Return 2 pi a b / length, exact for large products too."""
    return 2 * math.pi * (np.outer(np.arange(n_from), np.arange(n_to)) % length) / length


def _flat(
    angles: np.ndarray, weights: np.ndarray, multiple: int, real: np.dtype
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return weighted cosines and sines, each flattened with rows filled up, and their length."""
    width = round_up(angles.shape[1], multiple)
    cos, sin = (
        np.pad(weights[:, None] * part, ((0, 0), (0, width - angles.shape[1]))).astype(real).ravel()
        for part in (np.cos(angles), np.sin(angles))
    )
    return cos, sin, width

"""Where the frequencies of a tile lie, and the matrices that transform it."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np


class Tiling(NamedTuple):
    """How an axis of `size` positions is cut: tile i has `step`, from ``origin + i * step`` on.

    `halo` more belong to it on either side, as far as the axis reaches.
    """

    size: int
    origin: int
    step: int
    n: int
    halo: int


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


def _turns(a: np.ndarray, b: np.ndarray, length: int) -> np.ndarray:
    """Return exp(2 pi i a b / length), for all pairs."""
    angle = 2 * math.pi * (np.outer(a, b) % length) / length
    return np.cos(angle) + 1j * np.sin(angle)


def _positions(step: int, halo: int) -> np.ndarray:
    """Return the positions of a tile with its surroundings."""
    return np.arange(-halo, step + halo)


@functools.lru_cache(maxsize=256)
def row_table(
    length: int, step: int, halo: int, multiple: int, real: np.dtype
) -> tuple[np.ndarray, int]:
    """Return the matrix (position, column and part) of a real transform, and its row length."""
    turns = _turns(_positions(step, halo), np.arange(length // 2 + 1), length)
    parts = np.stack([turns.real, -turns.imag], -1).reshape(len(turns), -1)
    return _pad(parts, multiple, real)


@functools.lru_cache(maxsize=256)
def column_table(
    length: int, step: int, halo: int, lanes: int, real: np.dtype
) -> tuple[np.ndarray, int]:
    """Return the matrix (position, u) of a complex transform, as a spectrum lays out its rows."""
    turns = _turns(_positions(step, halo), np.arange(length), length).conj()
    return _in_blocks(turns, lanes, real)


@functools.lru_cache(maxsize=256)
def inverse_column_tables(
    length: int, step: int, halo: int, lanes: int, real: np.dtype
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the matrices (u, position) for columns of which half is kept, and for the others."""
    turns = _turns(np.arange(length), _positions(step, halo), length)
    # A mirrored column is the real part of a sum over the kept half, where most count twice.
    half = turns[: length // 2 + 1] * _weights(length)[:, None]
    return _in_blocks(half, lanes, real)[0], *_in_blocks(turns, lanes, real)


@functools.lru_cache(maxsize=256)
def inverse_row_table(
    grid: Grid, step: int, halo: int, multiple: int, real: np.dtype
) -> tuple[np.ndarray, int]:
    """Return the matrix (column and part, position) of a transform to real numbers."""
    weights = _weights(grid.width)
    turns = _turns(np.arange(len(weights)), _positions(step, halo), grid.width)
    turns *= weights[:, None] / (grid.height * grid.width)
    turns[weights == 1] = turns[weights == 1].real  # only that part of mirrored columns is right
    parts = np.stack([turns.real, -turns.imag], 1).reshape(2 * len(turns), -1)
    return _pad(parts, multiple, real)


def _weights(length: int) -> np.ndarray:
    """Return how many frequencies each of the kept half stands for."""
    return np.array([1 if 2 * u % length == 0 else 2 for u in range(length // 2 + 1)])


def _pad(matrix: np.ndarray, multiple: int, real: np.dtype) -> tuple[np.ndarray, int]:
    """Flatten a matrix whose rows are filled up with zeros; return their length too."""
    width = round_up(matrix.shape[1], multiple)
    return np.pad(matrix, ((0, 0), (0, width - matrix.shape[1]))).astype(real).ravel(), width


def _in_blocks(matrix: np.ndarray, lanes: int, real: np.dtype) -> tuple[np.ndarray, int]:
    """Flatten a complex matrix to (row, block, part, lane); return the number of blocks too."""
    n_blocks = -(-matrix.shape[1] // lanes)
    padded = np.pad(matrix, ((0, 0), (0, n_blocks * lanes - matrix.shape[1])))
    blocks = padded.reshape(len(matrix), n_blocks, 1, lanes)
    return np.concatenate([blocks.real, blocks.imag], 2).astype(real).ravel(), n_blocks

"""Reading maps at other pixels, boxes of pixels, and lengths in pixels."""

from __future__ import annotations

import math
from numbers import Integral

import torch
from torch import Tensor

from .._validation import check_number

__all__ = ["box", "check_length", "gather_pixels", "length_of", "rows_and_columns"]


def check_length(owner: str, name: str, value: float, low: int = 0) -> None:
    """Raise unless a length is a whole number of pixels from `low` on, or a share of the side."""
    if isinstance(value, Integral):
        check_number(owner, name, value, low, integer=True)
    else:
        check_number(owner, name, value, 0, 1)


def length_of(value: float, side: int) -> int:
    """Return a length in pixels, given as such (int) or as a share of the side (float)."""
    return int(value) if isinstance(value, Integral) else math.floor(value * side + 0.5)


def rows_and_columns(x: Tensor) -> tuple[Tensor, Tensor]:
    """Number the rows, of shape (1, H, 1), and the columns, of shape (1, 1, W), of maps."""
    row = torch.arange(x.shape[-2], device=x.device)
    column = torch.arange(x.shape[-1], device=x.device)
    return row[None, :, None], column[None, None, :]


def gather_pixels(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Return maps `(N, ..., H, W)` whose pixels are read at (row, column), zero off the map.

    `row` and `column` are whole numbers that broadcast to `(N, H, W)`. The dtype is kept.
    """
    H, W = x.shape[-2:]
    inside = (row >= 0) & (row < H) & (column >= 0) & (column < W)
    index = row.clamp(0, H - 1) * W + column.clamp(0, W - 1)
    maps = x.flatten(1, -3).flatten(2)  # (N, T * C, H * W)
    moved = maps.gather(2, index.flatten(1)[:, None].expand_as(maps))
    return (moved * inside.flatten(1)[:, None]).reshape(x.shape)


def box(x: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Return which pixels `(N, H, W)` lie in one box per sample, cut off at the edges."""
    row, column = rows_and_columns(x)
    top, left, height, width = (v[:, None, None] for v in (top, left, height, width))
    rows = (row >= top) & (row < top + height)
    return rows & (column >= left) & (column < left + width)

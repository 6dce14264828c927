"""The specification of voxel grids, in plain numpy: one recording at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._bins import Bins, cut


class VoxelPlan(NamedTuple):
    """What decides the voxel grid of a recording."""

    n_bins: int
    window: tuple[int, int] | None  # [start, stop) in µs; None: that of each recording
    polarity: str  # "signed" | "separate" | "merged"
    downsample: int
    sensor_size: tuple[int, int]
    dtype: np.dtype

    @property
    def intervals(self) -> Bins:
        """The intervals between two bins each; the events of one share their weight so."""
        return Bins(max(self.n_bins - 1, 1), by_time=True, window=self.window, closed=True)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of one recording's grid; a last row of partial blocks is kept."""
        width, height = (-(-side // self.downsample) for side in self.sensor_size)
        return self.n_bins, 2 if self.polarity == "separate" else 1, height, width


def encode_recording(events: np.ndarray, plan: VoxelPlan) -> tuple[np.ndarray, tuple]:
    """Return a voxel grid, and how many events lie before and after the window.

    Even intervals are added before odd ones, so that sums are rounded as the compiled twin does.
    """
    events, edges, start, stop, lost = cut(events, plan.intervals)
    inside = events[edges[0] : edges[-1]]
    interval = np.repeat(np.arange(plan.intervals.n), np.diff(edges))
    position = (inside["t"] - start) * ((plan.n_bins - 1) / max(stop - 1 - start, 1))
    right = np.clip(position - interval, 0.0, 1.0)
    sign = np.where(inside["p"], 1, -1) if plan.polarity == "signed" else 1
    channel = inside["p"] * (plan.polarity == "separate")
    pixel = channel.astype(int), inside["y"] // plan.downsample, inside["x"] // plan.downsample
    grid = np.zeros(plan.shape, plan.dtype)
    for parity in (0, 1):
        now = interval % 2 == parity
        where = tuple(index[now] for index in pixel)
        np.add.at(grid, (interval[now], *where), (sign * (1 - right)).astype(plan.dtype)[now])
        if plan.n_bins > 1:
            np.add.at(grid, (interval[now] + 1, *where), (sign * right).astype(plan.dtype)[now])
    return grid, lost

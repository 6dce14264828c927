"""The specification of frames, in plain numpy: one recording at a time, exact for every input."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class FramePlan(NamedTuple):
    """What decides the frames of a recording, apart from their dtype."""

    n_bins: int
    by_time: bool
    window: tuple[int, int] | None  # [t_start, t_stop) in µs; None: that of each recording
    values: str  # "counts" | "binary" | "signed"
    n_polarities: int
    downsample: int
    sensor_size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of one recording's frames; a last row of partial blocks is kept."""
        width, height = (-(-side // self.downsample) for side in self.sensor_size)
        return self.n_bins, self.n_polarities, height, width


def encode_recording(events: np.ndarray, plan: FramePlan) -> tuple[np.ndarray, int, int]:
    """Return int64 frames, and how many events lie before and after the window."""
    t = events["t"]
    before, after = _outside(t, plan.window)
    inside = events[~before & ~after]
    weight = np.where(inside["p"], 1, -1) if plan.values == "signed" else 1
    frames = np.zeros(plan.shape, np.int64)
    split = _bin_by_time if plan.by_time else _bin_by_count
    channel = inside["p"].astype(int) if plan.n_polarities == 2 else 0
    row, column = inside["y"] // plan.downsample, inside["x"] // plan.downsample
    np.add.at(frames, (split(inside["t"], plan), channel, row, column), weight)
    if plan.values == "binary":
        frames = np.minimum(frames, 1)
    return frames, int(before.sum()), int(after.sum())


def _outside(t: np.ndarray, window: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of the events before and after the window."""
    if window is None:
        return np.zeros(t.shape, bool), np.zeros(t.shape, bool)
    return t < window[0], t >= window[1]


def _bin_by_count(t: np.ndarray, plan: FramePlan) -> np.ndarray:
    """Return bins of equally many events: the i-th event in time is in bin i * n_bins // n."""
    rank = np.empty(len(t), np.int64)
    rank[np.argsort(t, kind="stable")] = np.arange(len(t))
    return rank * plan.n_bins // max(len(t), 1)


def _bin_by_time(t: np.ndarray, plan: FramePlan) -> np.ndarray:
    """Return bins of equal duration: time t is in bin (t - start) * n_bins // (stop - start)."""
    if len(t) == 0:
        return np.empty(0, np.int64)
    start, stop = plan.window or (int(t.min()), int(t.max()) + 1)
    # Bin b begins at the first whole microsecond that it holds; Python ints do not overflow.
    begins = [start - (-b * (stop - start) // plan.n_bins) for b in range(1, plan.n_bins)]
    return np.searchsorted(np.array(begins, np.int64), t, side="right")

"""The specification of frames, in plain numpy: one recording at a time, exact for every input."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._bins import Bins, cut


class FramePlan(NamedTuple):
    """What decides the frames of a recording, apart from their dtype."""

    bins: Bins  # one for each frame
    frames_per_step: int
    values: str  # "counts" | "binary" | "signed" | "sign" | "last"
    n_polarities: int
    downsample: int
    sensor_size: tuple[int, int]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one frame; a last row of partial blocks is kept."""
        width, height = (-(-side // self.downsample) for side in self.sensor_size)
        return self.n_polarities, height, width

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of one recording's frames: those of a step are stacked as channels."""
        n_polarities, *image = self.image_shape
        return self.bins.n // self.frames_per_step, self.frames_per_step * n_polarities, *image


def encode_recording(events: np.ndarray, plan: FramePlan) -> tuple[np.ndarray, tuple]:
    """Return int64 frames, and how many events lie before, after and beyond the bins."""
    events, edges, _, _, lost = cut(events, plan.bins)
    inside = events[edges[0] : edges[-1]]
    frames = np.zeros((plan.bins.n, *plan.image_shape), np.int64)
    which = (
        np.repeat(np.arange(plan.bins.n), np.diff(edges)),
        inside["p"].astype(int) if plan.n_polarities == 2 else 0,
        inside["y"] // plan.downsample,
        inside["x"] // plan.downsample,
    )
    sign = np.where(inside["p"], 1, -1)
    if plan.values == "last":
        frames[which] = sign  # of repeated indices, numpy assigns the last
    else:
        np.add.at(frames, which, sign if plan.values.startswith("sign") else 1)
    if plan.values in ("binary", "sign"):
        frames = np.sign(frames)
    return frames.reshape(plan.shape), lost

"""The specification of event images, in plain numpy: one recording at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._bins import Bins, cut

#: What a darker and a brighter event do to a channel: add so much, or "time".
CHANNELS = {
    "darker": (1, 0),
    "brighter": (0, 1),
    "count": (1, 1),
    "net": (-1, 1),
    "time": ("time", "time"),
    "time_darker": ("time", 0),
    "time_brighter": (0, "time"),
}


class ImagePlan(NamedTuple):
    """What decides the event images of a recording, apart from their dtype."""

    bins: Bins
    channels: tuple[str, ...]
    downsample: int
    sensor_size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of one recording's images; a last row of partial blocks is kept."""
        width, height = (-(-side // self.downsample) for side in self.sensor_size)
        return self.bins.n, len(self.channels), height, width


def encode_recording(events: np.ndarray, plan: ImagePlan) -> tuple[np.ndarray, tuple]:
    """Return float64 images, and how many events lie before and after the window."""
    events, edges, start, stop, lost = cut(events, plan.bins)
    images = np.zeros(plan.shape)
    for b in range(plan.bins.n):
        part = events[edges[b] : edges[b + 1]]
        if len(part) == 0:
            continue
        if plan.bins.by_time:  # the whole microseconds of the bin
            begin, end = (start - (-k * (stop - start) // plan.bins.n) for k in (b, b + 1))
        else:
            begin, end = int(part["t"][0]), int(part["t"][-1]) + 1
        time = (part["t"] - begin + 1) / (end - begin)
        row, column = part["y"] // plan.downsample, part["x"] // plan.downsample
        for image, name in zip(images[b], plan.channels, strict=True):
            for brighter, what in enumerate(CHANNELS[name]):
                now = part["p"] == bool(brighter)
                if what == "time":
                    # numpy assigns the last of equal indices; the other polarity may be later
                    latest = np.zeros_like(image)
                    latest[row[now], column[now]] = time[now]
                    np.maximum(image, latest, out=image)
                else:
                    np.add.at(image, (row[now], column[now]), what)
    return images, lost

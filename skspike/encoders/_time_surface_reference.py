"""The specification of time surfaces, in plain numpy: one recording at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._bins import Bins, cut


class SurfacePlan(NamedTuple):
    """What decides the time surfaces of a recording, apart from their dtype."""

    bins: Bins
    tau: float  # µs
    sensor_size: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of one recording's surfaces."""
        width, height = self.sensor_size
        return self.bins.n, 2, height, width


def encode_recording(events: np.ndarray, plan: SurfacePlan) -> tuple[np.ndarray, tuple]:
    """Return surfaces, and how many events lie before and after the window."""
    events, edges, start, stop, lost = cut(events, plan.bins)
    latest = np.full(plan.shape[1:], -np.inf)
    surfaces = np.zeros(plan.shape)
    for b in range(plan.bins.n):
        part = events[edges[b] : edges[b + 1]]
        latest[part["p"].astype(int), part["y"], part["x"]] = part["t"] - start
        if plan.bins.by_time:
            reading = (b + 1) * (stop - start) / plan.bins.n
        else:
            reading = latest.max()  # of the last event; -inf before the first
        if np.isfinite(reading):
            surfaces[b] = np.exp((latest - reading) / plan.tau)
    return surfaces, lost

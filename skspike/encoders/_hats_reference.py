"""The specification of histograms of averaged time surfaces, in plain numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._bins import Bins, cut


class HatsPlan(NamedTuple):
    """What decides the histograms of a recording, apart from their dtype."""

    bins: Bins
    tau: float  # µs
    memory: int  # µs
    cell_size: int
    surface_size: int
    of_polarity: bool  # the events that a mean is over: those of its polarity, or of its cell
    sensor_size: tuple[int, int]

    @property
    def grid(self) -> tuple[int, int]:
        """Number of rows and columns of cells; cells over the edge are kept."""
        width, height = self.sensor_size
        return -(-height // self.cell_size), -(-width // self.cell_size)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of one recording's histograms, laid side by side as the cells lie."""
        return self.bins.n, 2, *(side * self.surface_size for side in self.grid)


def encode_recording(events: np.ndarray, plan: HatsPlan) -> tuple[np.ndarray, tuple]:
    """Return histograms, and how many events lie before and after the window."""
    events, edges, _, _, lost = cut(events, plan.bins)
    inside = events[edges[0] : edges[-1]]
    bin_of_event = np.repeat(np.arange(plan.bins.n), np.diff(edges))
    rows, columns = plan.grid
    size = plan.surface_size
    histograms = np.zeros((plan.bins.n, 2, rows, size, columns, size))
    row, column = inside["y"] // plan.cell_size, inside["x"] // plan.cell_size
    for channel, r, c in np.ndindex(2, rows, columns):
        of_cell = (row == r) & (column == c)
        own = of_cell & (inside["p"] == channel)
        counts = np.bincount(bin_of_event[own if plan.of_polarity else of_cell])
        cell, bins = inside[own], bin_of_event[own]
        for b in np.unique(bins):
            surfaces = [_surface(event, cell, plan) for event in cell[bins == b]]
            histograms[b, channel, r, :, c] = np.sum(surfaces, axis=0) / counts[b]
    return histograms.reshape(plan.shape), lost


def _surface(event: np.void, cell: np.ndarray, plan: HatsPlan) -> np.ndarray:
    """Return the time surface of an event: what earlier events of its cell left around it."""
    radius = plan.surface_size // 2
    age = event["t"] - cell["t"]
    dy, dx = (cell[name].astype(int) - int(event[name]) + radius for name in ("y", "x"))
    near = (age > 0) & (age <= plan.memory)
    near &= (dy >= 0) & (dy < plan.surface_size) & (dx >= 0) & (dx < plan.surface_size)
    surface = np.zeros((plan.surface_size, plan.surface_size))
    np.add.at(surface, (dy[near], dx[near]), np.exp(-age[near] / plan.tau))
    return surface

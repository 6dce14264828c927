"""How the events of a recording are divided among bins: the specification, in plain numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Bins(NamedTuple):
    """What decides which event falls in which bin."""

    n: int
    by_time: bool
    window: tuple[int, int] | None  # [start, stop) in µs; None: that of each recording
    size: int | None = None  # events or µs of a bin; None: as the window and the number have it
    keep_last: bool = True  # with a size: bins are counted back from the end
    closed: bool = False  # by time: the last bin ends with the last µs, not after it


class Cut(NamedTuple):
    """A recording in order of time, divided: bin b is ``events[edges[b] : edges[b + 1]]``."""

    events: np.ndarray
    edges: np.ndarray
    start: int  # the window [start, stop) in µs
    stop: int
    lost: tuple[int, int, int]  # events before and after the window, and beyond the bins


def cut(events: np.ndarray, bins: Bins) -> Cut:
    """Put a recording in order of time and divide it; events of equal times keep their order."""
    events = events[np.argsort(events["t"], kind="stable")]
    t = events["t"]
    start, stop = bins.window or ((int(t[0]), int(t[-1]) + 1) if len(t) else (0, 1))
    low, high = (int(k) for k in np.searchsorted(t, (start, stop)))
    divide = _divide_by_time if bins.by_time else _divide_by_count
    edges = low + divide(t[low:high], bins, start, stop)
    beyond = high - low - int(edges[-1] - edges[0])
    return Cut(events, edges, start, stop, (low, len(t) - high, beyond))


def _divide_by_count(t: np.ndarray, bins: Bins, start: int, stop: int) -> np.ndarray:
    """Divide by rank: event i of n is in bin i * n_bins // n, or bins are of a size."""
    i, n = np.arange(len(t)), len(t)
    if bins.size is None:
        bin_of_event = i * bins.n // max(n, 1)
    elif bins.keep_last:
        bin_of_event = bins.n - 1 - (n - 1 - i) // bins.size
    else:
        bin_of_event = i // bins.size
    return np.searchsorted(bin_of_event, np.arange(bins.n + 1))


def _divide_by_time(t: np.ndarray, bins: Bins, start: int, stop: int) -> np.ndarray:
    """Divide by time: t is in bin (t - start) * n_bins // (stop - start), or bins are of a size."""
    if bins.size is None:
        # Bin b begins at the first whole microsecond that it holds; Python ints do not overflow.
        span = max(stop - start - bins.closed, 1)
        begins = [start - (-b * span // bins.n) for b in range(bins.n)] + [stop]
    elif bins.keep_last:
        begins = [stop - (bins.n - b) * bins.size for b in range(bins.n + 1)]
    else:
        begins = [start + b * bins.size for b in range(bins.n + 1)]
    return np.searchsorted(t, np.array(begins, np.int64))

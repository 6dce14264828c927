"""Histograms of averaged time surfaces, with a memory that makes an event cheap.

The surface of an event asks for the sum of exp((t_j - t) / tau) over the earlier events j of each
pixel around it. That sum is kept for every pixel: relative to a time of the cell's own, so that
all of it decays by one factor, and without the events that are too old. An event thus costs three
exponentials and as many products as its surface has pixels, however many events came before.
"""

from __future__ import annotations

import math

import numpy as np

from .._events import EventCollection
from ._bins_numba import PACKED, by_recording, find_edges, on_sensor, ordered, share
from ._hats_reference import HatsPlan

_FAR = 40.0  # in units of tau: sums are related to a later time before they grow by more than e^40


def encode_collection(
    X: EventCollection, plan: HatsPlan, histograms: np.ndarray, lost: np.ndarray, n_threads: int
) -> np.ndarray:
    """Fill in histograms and the losses; return which recordings are done."""
    edges, _ = find_edges(X, plan.bins, lost, n_threads)
    rows, columns = plan.grid
    # Cells do not know each other: a few long recordings are divided into bands of them.
    n_bands = 1 if by_recording(X, n_threads) else min(rows, 2 * n_threads)
    size = plan.surface_size
    tiles = histograms.reshape(len(X), plan.bins.n, 2, rows, size, columns, size)
    done = np.ones(len(X), bool)
    share(
        _visit_bands,
        len(X) * n_bands,
        (n_bands, X.events.view(PACKED), *X.bounds(), edges, *plan.sensor_size, float(plan.tau),
         plan.memory, plan.cell_size, plan.of_polarity, tiles, done),
        work=20 * X.n_events + histograms.size,
        n_threads=n_threads,
        real=histograms.dtype.type,
        _encode=_encode,
        _remember=_remember,
        _forget=_forget,
        _gather=_gather,
        _write_means=_write_means,
        _FAR=_FAR,
    )  # fmt: skip
    return done


def _visit_bands(
    first, last, n_bands, events, starts, stops, edges, width, height, tau, memory,
    cell_size, of_polarity, tiles, done,
):  # fmt: skip
    """Encode the bands number `first` to `last` - 1: so many rows of cells of a recording each."""
    n_rows = tiles.shape[3]
    for item in range(first, last):
        i, band = item // n_bands, item % n_bands
        recording = events[starts[i] : stops[i]]
        if not (ordered(recording, 0, len(recording)) and on_sensor(recording, width, height)):
            done[i] = False
            continue
        top, bottom = band * n_rows // n_bands, (band + 1) * n_rows // n_bands
        _encode(
            recording, edges[i], top, bottom, width, tau, memory, cell_size, of_polarity, tiles[i]
        )


def _encode(events, edges, top, bottom, width, tau, memory, cell_size, of_polarity, tiles):
    """Encode the rows of cells `top` to `bottom` - 1 of a recording."""
    n_bins, n_columns, size = tiles.shape[0], tiles.shape[4], tiles.shape[5]
    x, y, t, p = events["x"], events["y"], events["t"], events["p"]
    y_first, y_stop = top * cell_size, bottom * cell_size
    # Of each pixel: the weights of the events in memory, and their number.
    weights = np.zeros((2, y_stop - y_first, width))
    numbers = np.zeros((2, y_stop - y_first, width), np.int64)
    since = np.full((2, bottom - top, n_columns), t[0] if len(t) else 0)
    sums = np.zeros((2, bottom - top, n_columns, size, size))
    counts = np.zeros((2, bottom - top, n_columns), np.int64)
    oldest = newest = edges[0]  # the events in memory are those from `oldest` to `newest` - 1
    for b in range(n_bins):
        for k in range(edges[b], edges[b + 1]):
            if not y_first <= y[k] < y_stop:
                continue
            while t[newest] < t[k]:
                if y_first <= y[newest] < y_stop:
                    _remember(
                        x[newest], y[newest] - y_first, t[newest], 1 if p[newest] else 0,
                        tau, cell_size, weights, numbers, since,
                    )  # fmt: skip
                newest += 1
            while t[oldest] < t[k] - memory:
                if y_first <= y[oldest] < y_stop:
                    _forget(
                        x[oldest], y[oldest] - y_first, t[oldest], 1 if p[oldest] else 0,
                        tau, cell_size, weights, numbers, since,
                    )  # fmt: skip
                oldest += 1
            _gather(
                x[k], y[k] - y_first, t[k], 1 if p[k] else 0,
                tau, cell_size, weights, since, sums, counts,
            )  # fmt: skip
        _write_means(sums, counts, of_polarity, tiles[b, :, top:bottom])


def _remember(x, y, t, channel, tau, cell_size, weights, numbers, since):
    """Add an event to the weights of its pixel."""
    row, column = y // cell_size, x // cell_size
    passed = (t - since[channel, row, column]) / tau
    if passed > _FAR:
        left = math.exp(-passed)
        since[channel, row, column] = t
        passed = 0.0
        for r in range(row * cell_size, min((row + 1) * cell_size, weights.shape[1])):
            for c in range(column * cell_size, min((column + 1) * cell_size, weights.shape[2])):
                weights[channel, r, c] *= left
    weights[channel, y, x] += math.exp(passed)
    numbers[channel, y, x] += 1


def _forget(x, y, t, channel, tau, cell_size, weights, numbers, since):
    """Take an event from the weights of its pixel."""
    numbers[channel, y, x] -= 1
    passed = (t - since[channel, y // cell_size, x // cell_size]) / tau
    left = weights[channel, y, x] - math.exp(passed)
    weights[channel, y, x] = left if numbers[channel, y, x] > 0 and left > 0.0 else 0.0


def _gather(x, y, t, channel, tau, cell_size, weights, since, sums, counts):
    """Add the surface of an event, from the pixels of its cell around it, to the cell's sums."""
    row, column = y // cell_size, x // cell_size
    radius = sums.shape[4] // 2
    counts[channel, row, column] += 1
    left = math.exp((since[channel, row, column] - t) / tau)
    first_c = max(x - radius, column * cell_size)
    last_c = min(x + radius, (column + 1) * cell_size - 1, weights.shape[2] - 1)
    last_r = min(y + radius, (row + 1) * cell_size - 1, weights.shape[1] - 1)
    for r in range(max(y - radius, row * cell_size), last_r + 1):
        for c in range(first_c, last_c + 1):
            sums[channel, row, column, r - y + radius, c - x + radius] += (
                weights[channel, r, c] * left
            )


def _write_means(sums, counts, of_polarity, tiles):
    """Write the means of a bin into its tiles, and begin the next with empty sums."""
    n_channels, n_rows, n_columns, size, _ = sums.shape
    for channel in range(n_channels):
        for row in range(n_rows):
            for column in range(n_columns):
                n = counts[channel, row, column]
                if not of_polarity:
                    n += counts[1 - channel, row, column]
                n = max(n, 1)
                for r in range(size):
                    for c in range(size):
                        tiles[channel, row, r, column, c] = sums[channel, row, column, r, c] / n
    sums[:] = 0.0
    counts[:] = 0

"""A simulated event camera: what it would report of scenes given as brightness over time."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import numpy as np

from .._events import EventCollection

_BLOCK = 128  # recordings simulated at once: their state fits in the cache
_MISMATCH = 0.03  # relative spread of the pixels' thresholds
_NO_EVENTS = (np.empty(0, np.int64), np.empty(0), np.empty(0, bool))  # pixel, time, polarity


def draw_seed(owner: str, random_state) -> int:
    """Return a seed, drawn from `random_state` unless it is one; None draws from the system."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, Integral) and random_state >= 0:
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31 - 1))
    raise ValueError(
        f"The 'random_state' parameter of {owner} must be a non-negative int, a RandomState or "
        f"Generator instance, or None. Got {random_state!r} instead."
    )


def record(
    render: Callable[[slice, int], np.ndarray],
    n_samples: int,
    times: np.ndarray,
    sensor_size: tuple[int, int],
    *,
    contrast: float,
    refractory: float,
    noise: float,
    seed: int,
) -> EventCollection:
    """Record scenes; ``render(samples, k)`` is their brightness at ``times[k]``, in µs.

    Brightness is positive, of shape (n_samples, height, width). Recording `i` depends on the
    seed, on `i` and on its own scene, but not on how many others there are.
    """
    width, height = sensor_size
    mismatch = np.random.default_rng(seed).standard_normal(height * width, np.float32)
    thresholds = np.float32(contrast) * (1 + np.float32(_MISMATCH) * mismatch)
    parts = []
    for start in range(0, n_samples, _BLOCK):
        block = slice(start, min(start + _BLOCK, n_samples))
        parts.append(_watch(render, block, times, thresholds, refractory))
        parts.append(_draw_noise(block, times, height * width, noise, seed))
    return _collect(parts, n_samples, sensor_size)


def _watch(render, block: slice, times: np.ndarray, thresholds: np.ndarray, refractory: float):
    """Return (pixel, time, polarity) of the events of a block of scenes; pixels count on."""
    n_samples = block.stop - block.start
    threshold = np.tile(thresholds, n_samples)
    level = np.log(render(block, 0)).ravel()
    reference = level.copy()
    ready = np.full(level.shape, -np.inf)
    parts = []
    for k in range(1, len(times)):
        after = np.log(render(block, k)).ravel()
        pixel = np.flatnonzero(np.abs(after - reference) >= threshold)
        while pixel.size:
            brighter = after[pixel] > reference[pixel]
            step = np.where(brighter, threshold[pixel], -threshold[pixel])
            crossing = reference[pixel] + step
            passed = _fraction(crossing, level[pixel], after[pixel])
            t = np.maximum(times[k - 1] + passed * (times[k] - times[k - 1]), ready[pixel])
            now = t < times[k]  # what is still refractory at the end of the step waits for the next
            pixel, t = pixel[now], t[now]
            parts.append((pixel, t, brighter[now]))
            reference[pixel] = crossing[now]
            ready[pixel] = t + refractory
            pixel = pixel[np.abs(after[pixel] - reference[pixel]) >= threshold[pixel]]
        level = after
    first = block.start * len(thresholds)
    pixel, t, p = _join([_NO_EVENTS, *parts])
    return pixel + first, t, p


def _fraction(crossing: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return which part of the step from `before` to `after` has passed at a crossing."""
    rise = (after - before).astype(float)
    fraction = np.divide(crossing - before, rise, out=np.zeros(rise.shape), where=rise != 0)
    return np.clip(fraction, 0, 1)


def _draw_noise(block: slice, times: np.ndarray, n_pixels: int, rate: float, seed: int):
    """Return (pixel, time, polarity) of background events, `rate` a second at each pixel."""
    mean = rate * n_pixels * (times[-1] - times[0]) * 1e-6
    parts = []
    for i in range(block.start, block.stop):
        rng = np.random.default_rng([seed, i])
        n = rng.poisson(mean)
        pixel = i * n_pixels + rng.integers(n_pixels, size=n)
        parts.append((pixel, rng.uniform(times[0], times[-1], n), rng.random(n) < 0.5))
    return _join(parts)


def _join(parts: list) -> tuple[np.ndarray, ...]:
    """Concatenate (pixel, time, polarity) of several parts."""
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _collect(parts: list, n_samples: int, sensor_size: tuple[int, int]) -> EventCollection:
    """Sort events by recording and time, and make a collection of them."""
    width, height = sensor_size
    pixel, t, p = _join(parts)
    t = np.floor(t).astype(np.int64)
    sample, place = np.divmod(pixel, height * width)
    order = np.argsort(sample * (t.max(initial=0) + 1) + t, kind="stable")
    y, x = np.divmod(place[order], width)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(sample, minlength=n_samples))])
    return EventCollection.from_columns(
        x=x, y=y, t=t[order], p=p[order], offsets=offsets, sensor_size=sensor_size
    )

"""Moving shapes: invented recordings of any size."""

from __future__ import annotations

import numpy as np

from .._event_columns import check_sensor_size
from .._validation import check_choice, check_number
from ._camera import draw_seed, record

_DARK, _BRIGHT = 0.2, 1.0


def _disc(u, v, r):
    return np.hypot(u, v) - r


def _ring(u, v, r):
    return np.abs(np.hypot(u, v) - 0.8 * r) - 0.2 * r


def _square(u, v, r):
    return np.maximum(np.abs(u), np.abs(v)) - 0.8 * r


def _bar(u, v, r):
    return np.maximum(np.abs(u) - 0.3 * r, np.abs(v) - 1.2 * r)


# Signed distance to the edge (negative inside) of a shape of radius r, at the place (u, v) from
# its centre.
_SHAPES = {"bar": _bar, "disc": _disc, "square": _square, "ring": _ring}


def make_moving_shapes(
    n_samples=100,
    *,
    sensor_size=(32, 32),
    shapes=("bar", "disc", "square"),
    n_directions=4,
    target="shape",
    duration=100_000,
    contrast=0.3,
    noise=1.0,
    random_state=None,
):
    """Invent recordings of bright shapes that move over a dark ground.

    Each recording shows one shape of random size and place, which crosses a third of the sensor in
    one of a few directions, as a simulated event camera sees it.

    Parameters
    ----------
    n_samples : int, default=100
        Number of recordings.
    sensor_size : tuple of int (width, height), default=(32, 32)
        Size of the sensor in pixels, at least 8 each.
    shapes : sequence of {"bar", "disc", "square", "ring"}, default=("bar", "disc", "square")
        The shapes to draw from.
    n_directions : int, default=4
        Number of directions of motion: direction ``k`` points ``360 * k / n_directions`` degrees
        clockwise from the right.
    target : {"shape", "direction"}, default="shape"
        What `y` tells: the position of the shape in `shapes`, or the direction's number.
    duration : int, default=100_000
        Duration of a recording, in microseconds.
    contrast : float, default=0.3
        Change of log brightness that makes a pixel report an event.
    noise : float, default=1.0
        Mean number of background events of a pixel in a second.
    random_state : int, RandomState instance, Generator or None, default=None
        Determines the recordings. Pass an int for the same ones in every call.

    Returns
    -------
    X : EventCollection of `n_samples` recordings
        The recordings.
    y : ndarray of shape (n_samples,)
        Their classes, as equally frequent as possible.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    load_digits_events : Handwritten digits as an event camera sees them.

    Examples
    --------
    >>> from skspike.datasets import make_moving_shapes
    >>> X, y = make_moving_shapes(n_samples=6, sensor_size=(24, 16), random_state=0)
    >>> len(X), X.sensor_size
    (6, (24, 16))
    >>> sorted(y.tolist())
    [0, 0, 1, 1, 2, 2]
    """
    owner = "make_moving_shapes"
    sensor_size = _check_parameters(owner, n_samples, sensor_size, shapes, n_directions, duration)
    check_choice(owner, "target", target, ("shape", "direction"))
    check_number(owner, "contrast", contrast, 0, closed="neither")
    check_number(owner, "noise", noise, 0)
    seed = draw_seed(owner, random_state)
    scenes = _Scenes(n_samples, sensor_size, shapes, n_directions, target, seed)
    X = record(
        scenes.render,
        n_samples,
        np.linspace(0, duration, scenes.n_steps),
        sensor_size,
        contrast=contrast,
        refractory=duration / 100,
        noise=noise,
        seed=seed,
    )
    return X, scenes.shape if target == "shape" else scenes.direction


def _check_parameters(owner: str, n_samples, sensor_size, shapes, n_directions, duration):
    """Return the sensor size if all parameters are in their ranges, else raise."""
    check_number(owner, "n_samples", n_samples, 1, integer=True)
    check_number(owner, "n_directions", n_directions, 1, integer=True)
    check_number(owner, "duration", duration, 1, 2**40, integer=True)
    for shape in shapes or [None]:
        check_choice(owner, "shapes", shape, _SHAPES)
    sensor_size = check_sensor_size(owner, sensor_size)
    for side in sensor_size:
        check_number(owner, "sensor_size", side, 8, integer=True)
    return sensor_size


class _Scenes:
    """One moving shape per sample, drawn at random."""

    def __init__(self, n_samples, sensor_size, shapes, n_directions, target, seed):
        rng = np.random.default_rng([seed])
        classes = {"shape": len(shapes), "direction": n_directions}
        labels = {name: rng.integers(n, size=n_samples) for name, n in classes.items()}
        labels[target] = rng.permutation(np.arange(n_samples) % classes[target])
        self.shape, self.direction = labels["shape"], labels["direction"]
        self.edges = [_SHAPES[name] for name in shapes]
        side = min(sensor_size)
        self.radius = rng.uniform(0.15, 0.22, n_samples) * side
        self.centre = np.array(sensor_size) / 2 + rng.uniform(-0.08, 0.08, (n_samples, 2)) * side
        angle = 2 * np.pi * self.direction / n_directions
        self.travel = np.stack([np.cos(angle), np.sin(angle)], axis=1) * side / 3
        self.n_steps = 2 + int(side / 3 / 0.4)  # at most 0.4 pixels each
        self.x, self.y = np.ogrid[: sensor_size[0], : sensor_size[1]]

    def render(self, samples: slice, k: int) -> np.ndarray:
        """Return the brightness at step `k`, of shape (n_samples, height, width)."""
        centre = self.centre[samples] + (k / (self.n_steps - 1) - 0.5) * self.travel[samples]
        u = self.x.ravel() + 0.5 - centre[:, 0, None, None]
        v = self.y.ravel()[:, None] + 0.5 - centre[:, 1, None, None]
        distance = np.empty((len(centre), self.y.size, self.x.size))
        for label, edge in enumerate(self.edges):
            here = self.shape[samples] == label
            distance[here] = edge(u[here], v[here], self.radius[samples][here, None, None])
        inside = np.clip(0.5 - distance, 0, 1)  # edges are one pixel wide
        return np.float32(_DARK + (_BRIGHT - _DARK) * inside)

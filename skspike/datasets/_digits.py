"""Handwritten digits as an event camera sees them."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from .._event_columns import check_sensor_size
from .._validation import check_number
from ._camera import draw_seed, record

_SACCADE = 100_000  # µs
_STEPS = 20  # brightness samples per saccade
_DARK = 0.1  # brightness of the background; that of ink goes up to 1 more
_N_DIGITS, _N_WRITERS = 1797, 13

# The corners of the triangle that the camera's gaze follows, in units of the margin.
_CORNERS = np.array([(-1.0, -1.0), (0.0, 1.0), (1.0, -1.0), (-1.0, -1.0)])

_DESCR = """\
Handwritten digits as an event camera sees them
-----------------------------------------------

The 1,797 images of 8 × 8 pixels of sklearn.datasets.load_digits (the test set of the UCI "Optical
recognition of handwritten digits", by 13 writers), enlarged bilinearly, seen by a simulated event
camera that makes three saccades of 100 ms along a triangle, in the manner of N-MNIST. A pixel
reports an event where the logarithm of its brightness has changed by a threshold since its last
event, unless it is refractory; background events are added.

The writers of single images are not known, but they follow each other. The groups are 13 blocks
of consecutive images: a proxy, with which a grouped split keeps most writers on one side.
"""


def load_digits_events(
    *,
    n_samples=None,
    sensor_size=(20, 20),
    contrast=0.3,
    refractory=1000,
    noise=1.0,
    return_X_y=False,
    return_groups=False,
    random_state=0,
):
    """Load handwritten digits as an event camera sees them.

    The 1,797 images of :func:`sklearn.datasets.load_digits` in front of a simulated event camera
    that makes three saccades of 100 ms, as in N-MNIST [1]_. Nothing is downloaded.

    =================   ==========
    Classes                     10
    Recordings                1797
    Duration            300,000 µs
    =================   ==========

    Parameters
    ----------
    n_samples : int, default=None
        How many recordings, from the first on. By default all 1,797.
    sensor_size : tuple of int (width, height), default=(20, 20)
        Size of the sensor in pixels, at least 8 each. The digit fills it up to a margin of a
        tenth, through which it moves.
    contrast : float, default=0.3
        Change of log brightness that makes a pixel report an event.
    refractory : float, default=1000
        Time after an event in which a pixel reports no other, in microseconds.
    noise : float, default=1.0
        Mean number of background events of a pixel in a second.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    return_groups : bool, default=False
        Whether to return ``(data, target, groups)``, with ``return_X_y=True``.
    random_state : int, RandomState instance, Generator or None, default=0
        Determines background events and the small differences between pixels. An int gives the
        same recordings in every call, whatever `n_samples` is.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with the attributes

        data : EventCollection of 1797 recordings
            The recordings.
        target : ndarray of shape (1797,)
            The digits.
        groups : ndarray of shape (1797,)
            Blocks of consecutive images, as a proxy for the 13 writers, who are not known.
        target_names : ndarray of shape (10,)
            The names of the digits.
        DESCR : str
            A description.
    (data, target) or (data, target, groups) : tuple
        The first two or three of these, with ``return_X_y=True``.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    make_moving_shapes : Invents recordings of any size.

    References
    ----------
    .. [1] G. Orchard, A. Jayawant, G. K. Cohen and N. Thakor, "Converting static image datasets to
       spiking neuromorphic datasets using saccades", Frontiers in Neuroscience 9:437, 2015.

    Examples
    --------
    >>> from skspike.datasets import load_digits_events
    >>> X, y = load_digits_events(n_samples=20, return_X_y=True)
    >>> len(X), X.sensor_size
    (20, (20, 20))
    >>> y[:5]
    array([0, 1, 2, 3, 4])
    """
    owner = "load_digits_events"
    sensor_size = _check_parameters(owner, n_samples, sensor_size, contrast, refractory, noise)
    images, target = load_digits(return_X_y=True)
    images = np.float32(images[:n_samples].reshape(-1, 8, 8) / 16)
    data = record(
        _Gaze(images, sensor_size).render,
        len(images),
        np.linspace(0, 3 * _SACCADE, 3 * _STEPS + 1),
        sensor_size,
        contrast=contrast,
        refractory=refractory,
        noise=noise,
        seed=draw_seed(owner, random_state),
    )
    target, groups = target[:n_samples], np.arange(len(images)) * _N_WRITERS // _N_DIGITS
    if return_X_y:
        return (data, target, groups) if return_groups else (data, target)
    names = np.arange(10).astype(str)
    return Bunch(data=data, target=target, groups=groups, target_names=names, DESCR=_DESCR)


def _check_parameters(owner: str, n_samples, sensor_size, contrast, refractory, noise):
    """Return the sensor size if all parameters are in their ranges, else raise."""
    if n_samples is not None:
        check_number(owner, "n_samples", n_samples, 1, _N_DIGITS, integer=True)
    sensor_size = check_sensor_size(owner, sensor_size)
    for side in sensor_size:
        check_number(owner, "sensor_size", side, 8, integer=True)
    check_number(owner, "contrast", contrast, 0, closed="neither")
    check_number(owner, "refractory", refractory, 0)
    check_number(owner, "noise", noise, 0)
    return sensor_size


class _Gaze:
    """Images on a dark ground under a camera whose gaze wanders."""

    def __init__(self, images: np.ndarray, sensor_size: tuple[int, int]):
        self.images = images
        self.sensor_size = sensor_size
        self.margin = min(sensor_size) / 10
        self.scale = (min(sensor_size) - 2 * self.margin) / 8

    def render(self, samples: slice, k: int) -> np.ndarray:
        """Return the brightness at step `k`, of shape (n_samples, height, width)."""
        shift = _gaze(k) * self.margin
        columns, rows = map(self._interpolation, self.sensor_size, shift)
        return _DARK + rows @ self.images[samples] @ columns.T

    def _interpolation(self, side: int, shift: float) -> np.ndarray:
        """Return the bilinear weights of the 8 image pixels at each of `side` sensor pixels."""
        place = (np.arange(side) + 0.5 - side / 2 + shift) / self.scale + 3.5
        return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(8))).astype(np.float32)


def _gaze(k: int) -> np.ndarray:
    """Return the direction of gaze at step `k`; each saccade starts and ends at rest."""
    saccade = min(k // _STEPS, 2)
    progress = (1 - np.cos(np.pi * (k / _STEPS - saccade))) / 2
    return _CORNERS[saccade] + progress * (_CORNERS[saccade + 1] - _CORNERS[saccade])

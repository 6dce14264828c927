"""Images of dashed curves, some of which connect two dots."""

from __future__ import annotations

import numpy as np

from .._validation import check_number
from ._camera import draw_seed

_DASH, _GAP = 3, 1  # pixels
_CURVE, _DOT = 0.5, 1.0  # brightness
_BEND = 5.0  # rad: no curve turns by more, so that none runs into itself
_ATTEMPTS = 40  # to find a place for a curve, before an image begins anew
_BLOCK_PIXELS = 2**20  # of the images that are drawn at a time
_PATIENCE = 50  # blocks without a single image, after which the curves seem to be too many

# Which two of the ends 0 and 1 of one curve, 2 and 3 of the other, have dots: in two cases that are
# equally likely, if the dots are not connected and if they are.
_PAIRS = np.array([[(0, 2), (1, 3)], [(0, 1), (2, 3)]])


def make_pathfinder_like(
    n_samples=100,
    *,
    size=32,
    n_dashes=None,
    n_distractors=None,
    random_state=None,
):
    """Invent images of dashed curves as sequences; the class is whether one connects two dots.

    Each image shows two long curves, shorter ones that distract, and two dots: at both ends of a
    long curve, or at one end of each. In the manner of Pathfinder [1]_ and of the tasks of the
    Long Range Arena [2]_, but drawn otherwise, and not comparable in difficulty.

    Parameters
    ----------
    n_samples : int, default=100
        Number of images.
    size : int, default=32
        Pixels a side, at least 16. The Long Range Arena has 32, and 128 as "Path-X".
    n_dashes : int, default=None
        Number of dashes of a long curve, at least 3. By default ``3 * size // 16``, so that a
        curve is about three quarters as long as a side.
    n_distractors : int, default=None
        Number of short curves, which have a third of the dashes. By default ``size // 10``.
    random_state : int, RandomState instance, Generator or None, default=None
        Determines the images. Pass an int for the same ones in every call.

    Returns
    -------
    X : float32 ndarray of shape (n_samples, size * size, 1)
        The images row by row, from 0 for the ground over 0.5 for curves to 1 for dots.
    y : ndarray of shape (n_samples,)
        1 if a curve connects the dots, else 0; as equally frequent as possible.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or if so many curves do not fit into an image.

    Notes
    -----
    All of an image but the dots is drawn without regard to its class. Of the four ends of the long
    curves, the dots take the two of a curve in one class, two that do not belong together in the
    other, and each end has a dot in half of all cases, in both classes: sums of local features tell
    nothing. Neither does the distance of the dots, for the ends of two curves have about the same
    distance, up to a sixteenth of the size, as those of one, or the curves are drawn anew.

    What several local features tell together is another matter where there is little room: of how
    often each pattern of 3 × 3 pixels comes, gradient boosting tells 69 % of the classes with a
    size of 16, but 51 % with 32.

    Dashes have 3 pixels with gaps of 1, dots a side of ``3 + 2 * (size // 128)``. Pixels of the
    same curve are linked by steps of at most 2 pixels; those of different curves, with their dots,
    are at least 3 apart, rows and columns counted each. So the class is well defined: the dots are
    connected if such steps lead from one to the other.

    References
    ----------
    .. [1] D. Linsley, J. Kim, V. Veerabadran, C. Windolf and T. Serre, "Learning long-range
       spatial dependencies with horizontal gated recurrent units", Advances in Neural Information
       Processing Systems, 2018.
    .. [2] Y. Tay et al., "Long Range Arena: a benchmark for efficient transformers",
       International Conference on Learning Representations, 2021.

    Examples
    --------
    >>> from skspike.datasets import make_pathfinder_like
    >>> X, y = make_pathfinder_like(8, size=32, random_state=0)
    >>> X.shape
    (8, 1024, 1)
    >>> sorted(y.tolist())
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    owner = "make_pathfinder_like"
    check_number(owner, "n_samples", n_samples, 1, integer=True)
    check_number(owner, "size", size, 16, 1024, integer=True)
    n_dashes = 3 * size // 16 if n_dashes is None else n_dashes
    n_distractors = size // 10 if n_distractors is None else n_distractors
    check_number(owner, "n_dashes", n_dashes, 3, integer=True)
    check_number(owner, "n_distractors", n_distractors, 0, integer=True)
    rng = np.random.default_rng(draw_seed(owner, random_state))
    y = rng.permutation(np.arange(n_samples) % 2)
    lengths = [n_dashes] * 2 + [n_dashes // 3] * n_distractors
    canvas = _Canvas(rng, size, [n * (_DASH + _GAP) - _GAP for n in lengths])
    images = np.empty((n_samples, size, size), np.float32)
    if not _fill(canvas, images, y):
        raise ValueError(
            f"The curves of {owner} must fit into an image of {size} × {size} pixels. Got "
            f"{n_dashes} dashes and {n_distractors} distractors instead."
        )
    return images.reshape(n_samples, -1, 1), y


def _fill(canvas: _Canvas, images: np.ndarray, connected: np.ndarray) -> bool:
    """Draw images of the given classes; tell whether there is room for the curves."""
    done = in_vain = 0
    while done < len(images) and in_vain <= _PATIENCE:
        missing = len(images) - done
        curves, ends = canvas.draw(min(4 * missing, _BLOCK_PIXELS // canvas.size**2))
        n = min(len(ends), missing)
        rows = slice(done, done + n)
        images[rows] = canvas.render([c[:n] for c in curves], ends[:n], connected[rows])
        done, in_vain = done + n, 0 if n else in_vain + 1
    return done == len(images)


class _Canvas:
    """Draws many images at once, curve by curve; a curve is its pixels, from end to end."""

    def __init__(self, rng, size: int, lengths: list[int]) -> None:
        self.rng, self.size, self.lengths = rng, size, lengths
        self.radius = 1 + size // 128  # of a dot
        self.clearance = 2 * self.radius + 2

    def draw(self, n: int):
        """Return the curves of up to `n` images, and the ends of the long ones, of (n, 4, 2).

        An image in which a curve finds no place is left out.
        """
        taken = np.zeros((n, self.size, self.size), bool)
        placed = np.ones(n, bool)
        ends = np.zeros((n, 4, 2), int)
        curves: list[np.ndarray] = []
        for k, length in enumerate(self.lengths):
            curves.append(np.zeros((n, length, 2), int))
            missing = np.flatnonzero(placed)
            for _ in range(_ATTEMPTS):
                pixels, fits = self._propose(len(missing), length)
                row, column = pixels[..., 0], pixels[..., 1]
                fits &= ~taken[missing[:, None], row, column].any(axis=1)
                if k == 1:
                    ends[missing], alike = self._match(curves[0][missing], pixels)
                    fits &= alike
                curves[k][missing[fits]] = pixels[fits]
                missing = missing[~fits]
            placed[missing] = False
            _mark(taken, curves[k], self.clearance)
        return [curve[placed] for curve in curves], ends[placed]

    def _propose(self, n: int, length: int):
        """Draw smooth curves, and put them somewhere into the image; tell which fit."""
        rng, steps = self.rng, np.arange(length)
        bend = rng.uniform(0, _BEND / length, (n, 1))
        phase, frequency = rng.uniform(0, 2 * np.pi, (2, n, 1))
        turn = bend * np.sin(phase + frequency / length * steps)
        heading = rng.uniform(0, 2 * np.pi, (n, 1)) + np.cumsum(turn, axis=1)
        path = np.cumsum(np.stack([np.sin(heading), np.cos(heading)], axis=-1), axis=1)
        path -= path.min(axis=1, keepdims=True)
        room = self.size - 2 * self.radius - path.max(axis=1)
        fits = (room > 0).all(axis=1)
        path += self.radius + (rng.random((n, 2)) * room)[:, None]
        return np.clip(path.astype(int), 0, self.size - 1), fits

    def _match(self, first: np.ndarray, second: np.ndarray):
        """Return the ends of two curves, those of the second in the better of both orders.

        In it, ends of different curves are as far apart as those of the same. Tell, too, whether
        that is so up to a small difference.
        """
        orders = [np.concatenate([first[:, [0, -1]], second[:, [i, ~i]]], axis=1) for i in (0, -1)]
        unlike = [_distance(ends, 1) - _distance(ends, 0) for ends in orders]
        better = np.abs(unlike[0]) < np.abs(unlike[1])
        ends = np.where(better[:, None, None], *orders)
        return ends, np.abs(np.where(better, *unlike)) <= self.size / 16

    def render(self, curves: list[np.ndarray], ends: np.ndarray, connected: np.ndarray):
        """Return images of curves and dots."""
        images = np.zeros((len(ends), self.size, self.size), np.float32)
        every = np.arange(len(ends))[:, None]
        for curve in curves:
            drawn = curve[:, np.arange(curve.shape[1]) % (_DASH + _GAP) < _DASH]
            images[every, drawn[..., 0], drawn[..., 1]] = _CURVE
        case = self.rng.integers(2, size=len(ends))
        dots = np.zeros(images.shape, bool)
        _mark(dots, ends[every, _PAIRS[connected, case]], self.radius)
        images[dots] = _DOT
        return images


def _distance(ends: np.ndarray, connected: int) -> np.ndarray:
    """Return the mean distance of the ends in both cases in which they have dots."""
    pairs = ends[:, _PAIRS[connected]]
    return np.linalg.norm(pairs[:, :, 0] - pairs[:, :, 1], axis=-1).mean(axis=1)


def _mark(mask: np.ndarray, pixels: np.ndarray, radius: int) -> None:
    """Mark all that is within a square around the pixels of each image."""
    new = np.zeros_like(mask)
    new[np.arange(len(mask))[:, None], pixels[..., 0], pixels[..., 1]] = True
    for axis in (1, 2):
        new = np.moveaxis(new, axis, 0)
        lines = new.copy()
        for shift in range(1, radius + 1):
            lines[shift:] |= new[:-shift]
            lines[:-shift] |= new[shift:]
        new = np.moveaxis(lines, 0, axis)
    mask |= new

"""Handwritten digits, read pixel by pixel."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from .._validation import check_number
from ._permutation import check_permutation, permute

_SIDE = 8  # pixels of an image
_INK = 16  # the darkest pixel

_DESCR = """\
Handwritten digits, read pixel by pixel
---------------------------------------

The 1,797 images of 8 × 8 pixels of sklearn.datasets.load_digits (the test set of the UCI "Optical
recognition of handwritten digits"), row by row from the upper left corner: sequences of 64 steps,
or longer ones of enlarged images. A small stand-in for sequential MNIST.
"""


def load_sequential_digits(*, permutation=None, upsample=None, return_X_y=False, random_state=0):
    """Load handwritten digits as sequences of pixels.

    The 1,797 images of :func:`sklearn.datasets.load_digits`, row by row: a small stand-in for
    sequential MNIST that needs no download.

    =================   ==========
    Classes                     10
    Sequences                 1797
    Steps                       64
    =================   ==========

    Parameters
    ----------
    permutation : {"bit_reversal", "random"}, default=None
        The order in which the pixels are read, the same for all images; by default row by row.
        "bit_reversal" is the one of the permuted MNIST of S4 [1]_, see the notes; "random" is
        drawn by `random_state`.
    upsample : int, default=None
        Enlarge the images to this many pixels a side, at least 8: 28 gives 784 steps, as many as
        those of MNIST.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState instance, Generator or None, default=0
        Determines the permutation "random". An int draws it as
        ``numpy.random.RandomState(random_state).permutation(n_steps)``.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        A dictionary-like object with the attributes

        data : float32 ndarray of shape (1797, n_steps, 1)
            The pixels, from 0 for paper to 1 for ink.
        target : ndarray of shape (1797,)
            The digits.
        target_names : ndarray of str of shape (10,)
            The names of the digits.
        DESCR : str
            A description.
    (data, target) : tuple
        The first two of these, with ``return_X_y=True``.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    load_digits_events : The same digits as an event camera sees them.

    Notes
    -----
    The bit reversal of ``n_steps = 2 ** k`` reads pixel ``i`` at the step whose ``k`` binary digits
    are those of ``i`` backwards. For another number of steps it is that of the next larger power of
    two, of which the pixels that do not exist are left out: 0, 512, 256, 768, 128, 640, ... of 784.
    It is fixed, and no random one: neighbours in time are far apart in the image, but in a regular
    way, so that results differ from those with a random permutation.

    Images are enlarged bilinearly, with the centres of the outer pixels half a pixel inside the
    border: pixel ``i`` of ``n`` lies at ``(i + 0.5) * 8 / n - 0.5`` in the small image, moved to
    the border where it would lie outside.

    References
    ----------
    .. [1] A. Gu, K. Goel and C. Ré, "Efficiently modeling long sequences with structured state
       spaces", International Conference on Learning Representations, 2022.

    Examples
    --------
    >>> from skspike.datasets import load_sequential_digits
    >>> X, y = load_sequential_digits(return_X_y=True)
    >>> X.shape
    (1797, 64, 1)
    >>> X, y = load_sequential_digits(upsample=28, permutation="bit_reversal", return_X_y=True)
    >>> X.shape
    (1797, 784, 1)
    """
    owner = "load_sequential_digits"
    check_permutation(owner, permutation)
    if upsample is not None:
        check_number(owner, "upsample", upsample, _SIDE, 1024, integer=True)
    images, target = load_digits(return_X_y=True)
    images = np.float32(images.reshape(-1, _SIDE, _SIDE) / _INK)
    if upsample is not None:
        images = _enlarge(images, upsample)
    data = permute(images.reshape(len(images), -1, 1), permutation, random_state)
    if return_X_y:
        return data, target
    names = np.arange(10).astype(str)
    return Bunch(data=data, target=target, target_names=names, DESCR=_DESCR)


def _enlarge(images: np.ndarray, side: int) -> np.ndarray:
    """Enlarge square images bilinearly."""
    place = np.clip((np.arange(side) + 0.5) * _SIDE / side - 0.5, 0, _SIDE - 1)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(_SIDE))).astype(np.float32)
    return weights @ images @ weights.T

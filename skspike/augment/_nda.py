"""Neuromorphic data augmentation: the policy of Li et al."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validation import check_number
from ._affine import Rotate, Shear
from ._base import Augmentation
from ._compose import Compose, OneOf
from ._cutout import Cutout
from ._flip import Flip
from ._pixels import check_length
from ._registry import register
from ._shift import Shift

__all__ = ["NDA"]


@register
@dataclass(repr=False)
class NDA(Augmentation):
    """Mirror maps, then roll, turn or slant them, or cut a hole: neuromorphic data augmentation.

    Half of the samples are mirrored horizontally; then each sample is changed in one of the
    other ways, all with equal chance.

    Parameters
    ----------
    flip : float in [0, 1], default=0.5
        Share of the samples that are mirrored; see :class:`Flip`.
    shift : int, float in [0, 1] or None, default=5
        Largest roll along each axis, in pixels or as a share of the side; see :class:`Shift`. None
        leaves rolling out.
    rotate : float in [0, 180] or None, default=30.0
        Largest angle, in degrees; see :class:`Rotate`. None leaves turning out.
    shear : float in [0, 90) or None, default=30.0
        Largest horizontal slant, in degrees; see :class:`Shear`. None leaves slanting out.
    cutout : int, float in [0, 1] or None, default=16
        Height and width of the hole, in pixels or as a share of the side; see :class:`Cutout`. None
        leaves the hole out.

    See Also
    --------
    CutMix : Belongs to the policy of the paper too: ``[NDA(), CutMix()]``.

    Notes
    -----
    Where the magnitudes come from: the published code [2]_ has for CIFAR10-DVS, on maps of 48 x 48
    pixels, ``shift=5``, ``rotate=30.0`` and ``shear=30.0``, the defaults; for N-Caltech101, on maps
    of the same size, 3, 15.0 and 15.0. On maps of another size, scale what is in pixels. The code
    defines a class for holes, but gives no size and uses none, and it mirrors nothing:
    ``NDA(flip=0.0, cutout=None)`` is what it runs. `flip` and the kinds of change are those of the
    paper [1]_. `cutout` is from later code of others, in which one magnitude ``m`` stands for rolls
    of ``2 * m + 1`` pixels, angles of ``15 * m`` degrees and holes of ``8 * m`` pixels: 2 gives the
    values for CIFAR10-DVS, and 1 those for N-Caltech101, to which belong holes of 16 and 8 pixels.

    As there, a roll, an angle or a slant is drawn evenly up to the largest in both directions, and
    pixels are read from the nearest. The paper also varies the magnitudes and the number of ways
    for each sample: write a :class:`Compose`.

    References
    ----------
    .. [1] Li et al., "Neuromorphic Data Augmentation for Training Spiking Neural Networks", ECCV
       2022, section 4. https://arxiv.org/abs/2203.06145
    .. [2] Li et al., "NDA_SNN", functions/data_loaders.py.
       https://github.com/Intelligent-Computing-Lab-Yale/NDA_SNN

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import NDA
    >>> x = torch.ones(8, 4, 2, 48, 48, dtype=torch.uint8)
    >>> changed, _ = NDA(rotate=15.0)(x, None, torch.Generator().manual_seed(0))
    >>> changed.shape == x.shape, changed.dtype
    (True, torch.uint8)
    """

    flip: float = 0.5
    shift: float | None = 5
    rotate: float | None = 30.0
    shear: float | None = 30.0
    cutout: float | None = 16

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_number("NDA", "flip", self.flip, 0, 1)
        for name in ("shift", "cutout"):
            if getattr(self, name) is not None:
                check_length("NDA", name, getattr(self, name))
        if self.rotate is not None:
            check_number("NDA", "rotate", self.rotate, 0, 180)
        if self.shear is not None:
            check_number("NDA", "shear", self.shear, 0, 90, closed="left")

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Mirror some samples, and change each in one more way."""
        ways = {Shift: self.shift, Rotate: self.rotate, Shear: self.shear, Cutout: self.cutout}
        options = [make(size) for make, size in ways.items() if size is not None]
        return Compose([Flip(p=self.flip), OneOf(options or [None])])(x, y, generator)

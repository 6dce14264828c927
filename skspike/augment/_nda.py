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
    cutout : int, float in [0, 1] or None, default=8
        Height and width of the hole, in pixels or as a share of the side; see :class:`Cutout`. None
        leaves the hole out.

    See Also
    --------
    CutMix : Belongs to the policy of the paper too: ``[NDA(), CutMix()]``.

    Notes
    -----
    The defaults of `shift`, `rotate` and `shear` are those of the published code for CIFAR10-DVS,
    on maps of 48 x 48 pixels; for N-Caltech101 it has 3, 15.0 and 15.0. On maps of another size,
    scale what is in pixels. That code has neither the flip of the paper nor its cutout (of which
    it defines the class, but no size): ``NDA(flip=0.0, cutout=None)`` is what it runs. The paper
    also varies the magnitudes and the number of ways for each sample: write a :class:`Compose`.

    References
    ----------
    .. [1] Li et al., "Neuromorphic Data Augmentation for Training Spiking Neural Networks", ECCV
       2022, section 4. https://arxiv.org/abs/2203.06145

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
    cutout: float | None = 8

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

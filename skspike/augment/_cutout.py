"""Maps with a hole."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validation import check_number
from ._base import Augmentation
from ._draws import Draws
from ._pixels import box, check_length, length_of
from ._registry import register

__all__ = ["Cutout"]


@register
@dataclass(repr=False)
class Cutout(Augmentation):
    """Set a box of the maps to zero, the same one in all steps and channels of a sample.

    Parameters
    ----------
    size : int or float in [0, 1], default=0.25
        Height and width of the box: an int in pixels, a float as a share of each side.
    p : float in [0, 1], default=1.0
        Share of the samples that get a hole.

    Notes
    -----
    The centre of the box is any pixel with equal chance, so that boxes may reach over the edge
    and are cut off there [1]_.

    References
    ----------
    .. [1] DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with
       Cutout", 2017, section 3.2. https://arxiv.org/abs/1708.04552

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import Cutout
    >>> x = torch.ones(1, 1, 5, 5)
    >>> holed, _ = Cutout(size=1)(x, None, torch.Generator())
    >>> holed.sum().item()
    24.0
    """

    size: float = 0.25
    p: float = 1.0

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_length("Cutout", "size", self.size)
        check_number("Cutout", "p", self.p, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Cut one hole into each sample."""
        draws = Draws(x, generator)
        holed = draws.happens(self.p)
        sides = [length_of(self.size, side) for side in x.shape[-2:]]
        top, left = (
            draws.integers(0, side - 1) - length // 2
            for side, length in zip(x.shape[-2:], sides, strict=True)
        )
        height, width = (length * torch.ones_like(top) for length in sides)
        hole = box(x, top, left, height, width) & holed[:, None, None]
        return x * ~hole.reshape(len(x), *[1] * (x.ndim - 3), *hole.shape[1:]), y

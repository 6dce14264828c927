"""Events that nothing in the scene caused, and events that the camera missed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validation import check_choice, check_number
from ._base import FRAMES, IMAGES, SERIES, TABLE, Augmentation
from ._counts import narrow, thin, widen
from ._registry import register

__all__ = ["Noise"]


@register
@dataclass(repr=False)
class Noise(Augmentation):
    """Add background events and remove some of the others.

    Parameters
    ----------
    add : float in [0, 1000000], default=0.01
        Mean number of events added to each value: a pixel of a channel in a step. It is drawn from
        a Poisson distribution.
    remove : float in [0, 1], default=0.1
        Probability with which an event is removed.
    values : {"counts", "binary", "signed"}, default="counts"
        What the values are, as :class:`~skspike.encoders.FrameEncoder` says it: ``"binary"`` ones
        stay at most 1, and to ``"signed"`` ones positive and negative events are added.

    Notes
    -----
    The dtype is kept, and what it cannot hold is clipped.

    Background activity that is a Poisson process, equal for all pixels, is the usual model of the
    leakage and shot noise of event cameras [1]_.

    References
    ----------
    .. [1] Hu, Liu and Delbruck, "v2e: From Video Frames to Realistic DVS Events", CVPR Workshops
       2021. https://arxiv.org/abs/2006.07722

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import Noise
    >>> x = torch.zeros(10, 4, 2, 16, 16)
    >>> noisy, _ = Noise(add=0.5)(x, None, torch.Generator().manual_seed(0))
    >>> 0.48 < noisy.mean().item() < 0.52
    True
    """

    add: float = 0.01
    remove: float = 0.1
    values: str = "counts"

    _kinds = (TABLE, SERIES, IMAGES, FRAMES)

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_number("Noise", "add", self.add, 0, 1e6)
        check_number("Noise", "remove", self.remove, 0, 1)
        check_choice("Noise", "values", self.values, ("counts", "binary", "signed"))

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Thin out the events and add others."""
        if self.remove > 0:
            x = thin(x, torch.full((1,), 1 - self.remove, device=x.device), generator)
        counts = widen(x)
        if self.add > 0 and self.values == "signed":
            rate = torch.full_like(counts, self.add / 2)
            counts = counts + torch.poisson(rate, generator) - torch.poisson(rate, generator)
        elif self.add > 0:
            counts = counts + torch.poisson(torch.full_like(counts, self.add), generator)
        if self.values == "binary":
            counts = counts.clamp_max(1)
        return narrow(counts, x.dtype), y

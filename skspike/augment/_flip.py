"""Mirrored maps and swapped polarities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validation import check_choice, check_number
from ._base import Augmentation
from ._draws import Draws, per_sample
from ._registry import register

__all__ = ["Flip", "PolarityFlip"]


@register
@dataclass(repr=False)
class Flip(Augmentation):
    """Mirror maps, all steps and channels of a sample alike.

    Parameters
    ----------
    direction : {"horizontal", "vertical"}, default="horizontal"
        Whether left and right are exchanged, or top and bottom.
    p : float in [0, 1], default=0.5
        Share of the samples that are mirrored.

    See Also
    --------
    NDA : A policy that begins with a flip.

    Notes
    -----
    Every event is kept. Mirrored digits and letters are other digits and letters, or none; so are
    gestures of the left and the right hand.

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import Flip
    >>> x = torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8)  # one image of a row
    >>> x, _ = Flip(p=1.0)(x, None, torch.Generator())
    >>> x.tolist()
    [[[[3, 2, 1]]]]
    """

    direction: str = "horizontal"
    p: float = 0.5

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_choice("Flip", "direction", self.direction, ("horizontal", "vertical"))
        check_number("Flip", "p", self.p, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Mirror some samples."""
        mirrored = per_sample(Draws(x, generator).happens(self.p), x)
        return torch.where(mirrored, x.flip(-1 if self.direction == "horizontal" else -2), x), y


@register
@dataclass(repr=False)
class PolarityFlip(Augmentation):
    """Exchange the two polarities, as if bright and dark were exchanged in the scene.

    Parameters
    ----------
    p : float in [0, 1], default=0.5
        Share of the samples whose polarities are exchanged.

    Notes
    -----
    Takes maps of two channels, which :class:`~skspike.encoders.FrameEncoder` makes with
    ``polarity="separate"``. Every event is kept.

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import PolarityFlip
    >>> x = torch.tensor([[[[1.0]], [[2.0]]]])  # one image of a pixel, darker and brighter
    >>> x, _ = PolarityFlip(p=1.0)(x, None, torch.Generator())
    >>> x.flatten().tolist()
    [2.0, 1.0]
    """

    p: float = 0.5

    def check(self, sample_shape: tuple[int, ...]) -> None:
        """Raise unless the parameters are valid and samples have two channels.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one sample, without the axis of the samples.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or samples are no maps of two channels.
        """
        super().check(sample_shape)
        if sample_shape[-3] != 2:
            raise ValueError(
                "X augmented by PolarityFlip must have 2 channels, one per polarity. "
                f"Got {sample_shape[-3]} instead."
            )

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_number("PolarityFlip", "p", self.p, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Exchange the channels of some samples."""
        exchanged = per_sample(Draws(x, generator).happens(self.p), x)
        return torch.where(exchanged, x.flip(-3), x), y

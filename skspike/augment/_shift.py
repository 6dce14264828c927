"""Maps moved sideways."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validation import check_choice, check_number
from ._base import Augmentation
from ._draws import Draws
from ._pixels import check_length, gather_pixels, length_of, rows_and_columns
from ._registry import register

__all__ = ["Shift"]


@register
@dataclass(repr=False)
class Shift(Augmentation):
    """Move maps by whole pixels, all steps and channels of a sample alike.

    Parameters
    ----------
    max_shift : int or float in [0, 1], default=0.1
        Largest shift along each axis: an int in pixels, a float as a share of the side. The shift
        is drawn evenly from the whole numbers of pixels between ``-max_shift`` and ``max_shift``.
    fill : {"roll", "zero"}, default="roll"
        What comes in at one edge: what went out at the opposite edge, or nothing.
    p : float in [0, 1], default=1.0
        Share of the samples that are moved.

    Notes
    -----
    ``"roll"`` keeps every event, and is what the code of [1]_ does with ``max_shift=5``, on maps
    of 48 x 48 pixels. ``"zero"`` loses what leaves the map.

    References
    ----------
    .. [1] Li et al., "Neuromorphic Data Augmentation for Training Spiking Neural Networks", ECCV
       2022. https://arxiv.org/abs/2203.06145

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import Shift
    >>> x = torch.eye(4).reshape(1, 1, 4, 4)
    >>> moved, _ = Shift(max_shift=2)(x, None, torch.Generator().manual_seed(0))
    >>> moved.sum().item()
    4.0
    """

    max_shift: float = 0.1
    fill: str = "roll"
    p: float = 1.0

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_length("Shift", "max_shift", self.max_shift)
        check_choice("Shift", "fill", self.fill, ("roll", "zero"))
        check_number("Shift", "p", self.p, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Move every sample by its own shift."""
        draws = Draws(x, generator)
        moves = draws.happens(self.p)
        row, column = rows_and_columns(x)
        row, column = (self._source(place, moves, draws) for place in (row, column))
        return gather_pixels(x, row, column), y

    def _source(self, place: Tensor, moves: Tensor, draws: Draws) -> Tensor:
        """Return the row (or column) that each row (or column) of a sample is read from."""
        side = place.numel()
        most = length_of(self.max_shift, side)
        source = place - (draws.integers(-most, most) * moves)[:, None, None]
        return source % side if self.fill == "roll" else source

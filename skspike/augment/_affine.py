"""Maps turned, slanted and magnified about their centre."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .._validation import check_choice, check_number
from ._base import Augmentation
from ._counts import widen
from ._draws import Draws
from ._pixels import gather_pixels, rows_and_columns
from ._registry import register

__all__ = ["Rotate", "Scale", "Shear"]

_INTERPOLATIONS = ("nearest", "bilinear")


@register
@dataclass(repr=False)
class Rotate(Augmentation):
    """Turn maps about their centre, all steps and channels of a sample alike.

    Parameters
    ----------
    degrees : float in [0, 180], default=15.0
        Largest angle; the angle is drawn evenly from ``[-degrees, degrees)``.
    interpolation : {"nearest", "bilinear"}, default="nearest"
        ``"nearest"`` reads the nearest pixel, so that counts stay counts and the dtype is kept;
        ``"bilinear"`` gives fractions, in a floating dtype.
    p : float in [0, 1], default=1.0
        Share of the samples that are turned.

    Notes
    -----
    What comes from off the map is zero. Neither interpolation keeps every event: pixels are read
    once, twice or never.

    The code of [1]_ turns by up to 30 degrees, by up to 15 on N-Caltech101.

    References
    ----------
    .. [1] Li et al., "Neuromorphic Data Augmentation for Training Spiking Neural Networks", ECCV
       2022. https://arxiv.org/abs/2203.06145

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import Rotate
    >>> x = torch.ones(8, 2, 9, 9, dtype=torch.uint8)
    >>> turned, _ = Rotate(degrees=45)(x, None, torch.Generator().manual_seed(0))
    >>> turned.dtype, turned.unique().tolist()
    (torch.uint8, [0, 1])
    """

    degrees: float = 15.0
    interpolation: str = "nearest"
    p: float = 1.0

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_number("Rotate", "degrees", self.degrees, 0, 180)
        check_choice("Rotate", "interpolation", self.interpolation, _INTERPOLATIONS)
        check_number("Rotate", "p", self.p, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Turn every sample by its own angle."""
        draws = Draws(x, generator)
        angle = math.radians(self.degrees) * draws.uniform(-1, 1) * draws.happens(self.p)
        cos, sin = angle.cos(), angle.sin()
        return transform(x, (cos, sin, -sin, cos), self.interpolation), y


@register
@dataclass(repr=False)
class Shear(Augmentation):
    """Slant maps about their centre, all steps and channels of a sample alike.

    Parameters
    ----------
    degrees : float in [0, 90), default=15.0
        Largest slant: upright lines come out turned by an angle that is drawn evenly from
        ``[-degrees, degrees)``.
    direction : {"horizontal", "vertical"}, default="horizontal"
        Whether rows are moved against each other, or columns.
    interpolation : {"nearest", "bilinear"}, default="nearest"
        ``"nearest"`` reads the nearest pixel, so that counts stay counts and the dtype is kept;
        ``"bilinear"`` gives fractions, in a floating dtype.
    p : float in [0, 1], default=1.0
        Share of the samples that are slanted.

    Notes
    -----
    What comes from off the map is zero.

    The code of [1]_ slants horizontally by up to 30 degrees, by up to 15 on N-Caltech101.

    References
    ----------
    .. [1] Li et al., "Neuromorphic Data Augmentation for Training Spiking Neural Networks", ECCV
       2022. https://arxiv.org/abs/2203.06145

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import Shear
    >>> x = torch.zeros(1, 1, 5, 5)
    >>> x[..., 2, :] = 1.0  # the row in the middle stays where it is
    >>> slanted, _ = Shear(degrees=45)(x, None, torch.Generator().manual_seed(0))
    >>> torch.equal(slanted, x)
    True
    """

    degrees: float = 15.0
    direction: str = "horizontal"
    interpolation: str = "nearest"
    p: float = 1.0

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_number("Shear", "degrees", self.degrees, 0, 90, closed="left")
        check_choice("Shear", "direction", self.direction, ("horizontal", "vertical"))
        check_choice("Shear", "interpolation", self.interpolation, _INTERPOLATIONS)
        check_number("Shear", "p", self.p, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Slant every sample by its own angle."""
        draws = Draws(x, generator)
        angle = math.radians(self.degrees) * draws.uniform(-1, 1) * draws.happens(self.p)
        slope, one, zero = angle.tan(), torch.ones_like(angle), torch.zeros_like(angle)
        horizontal = self.direction == "horizontal"
        matrix = (one, slope, zero, one) if horizontal else (one, zero, slope, one)
        return transform(x, matrix, self.interpolation), y


@register
@dataclass(repr=False)
class Scale(Augmentation):
    """Magnify or shrink maps about their centre, all steps and channels of a sample alike.

    Parameters
    ----------
    low : float, default=0.8
        Smallest factor, greater than zero.
    high : float, default=1.25
        Largest factor, not below `low`; the factor is drawn evenly from ``[low, high)``.
    interpolation : {"nearest", "bilinear"}, default="nearest"
        ``"nearest"`` reads the nearest pixel, so that counts stay counts and the dtype is kept;
        ``"bilinear"`` gives fractions, in a floating dtype.
    p : float in [0, 1], default=1.0
        Share of the samples whose size is changed.

    Notes
    -----
    What comes from off the map is zero. The counts of a pixel stay as they were, so that a map
    twice as large has four times as many events.

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import Scale
    >>> x = torch.arange(4.0).reshape(1, 1, 1, 4)
    >>> magnified, _ = Scale(2.0, 2.0)(x, None, torch.Generator())
    >>> magnified.flatten().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """

    low: float = 0.8
    high: float = 1.25
    interpolation: str = "nearest"
    p: float = 1.0

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_number("Scale", "low", self.low, 0, closed="neither")
        check_number("Scale", "high", self.high, self.low, math.inf, closed="left")
        check_choice("Scale", "interpolation", self.interpolation, _INTERPOLATIONS)
        check_number("Scale", "p", self.p, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Magnify every sample by its own factor."""
        draws = Draws(x, generator)
        factor = draws.uniform(self.low, self.high)
        inverse = torch.where(draws.happens(self.p), 1 / factor, 1.0)
        zero = torch.zeros_like(inverse)
        return transform(x, (inverse, zero, zero, inverse), self.interpolation), y


def transform(x: Tensor, matrix: tuple[Tensor, ...], interpolation: str) -> Tensor:
    """Read each pixel of maps `(N, ..., H, W)` at another place, zero off the map.

    `matrix` holds the four entries, one number per sample each, of the matrix that leads from a
    pixel (column, row) to the place where it is read, both seen from the centre of the map.
    """
    H, W = x.shape[-2:]
    xx, xy, yx, yy = (entry[:, None, None] for entry in matrix)
    row, column = rows_and_columns(x)
    v, u = row - (H - 1) / 2, column - (W - 1) / 2
    across, down = xx * u + xy * v + (W - 1) / 2, yx * u + yy * v + (H - 1) / 2
    if interpolation == "nearest":
        return gather_pixels(x, (down + 0.5).floor().long(), (across + 0.5).floor().long())
    maps = widen(x).flatten(1, -3)  # (N, T * C, H, W)
    grid = torch.stack([(2 * across + 1) / W - 1, (2 * down + 1) / H - 1], dim=-1)
    return F.grid_sample(maps, grid.to(maps.dtype), align_corners=False).reshape(x.shape)

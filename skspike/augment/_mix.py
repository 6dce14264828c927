"""Mixtures of two samples and of their labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validation import check_choice, check_number
from ._base import FRAMES, IMAGES, SERIES, TABLE, Augmentation
from ._counts import widen
from ._draws import Draws, per_sample
from ._pixels import box
from ._registry import register

__all__ = ["CutMix", "Mixup", "check_labels", "event_share", "paste"]


@register
@dataclass(repr=False)
class Mixup(Augmentation):
    r"""Replace each sample by a weighted mean with another one of the batch.

    .. math:: \tilde x = \lambda x_i + (1 - \lambda) x_j, \qquad
              \tilde y = \lambda y_i + (1 - \lambda) y_j.

    Parameters
    ----------
    alpha : float in (0, 1000], default=0.2
        The share :math:`\lambda` is drawn from the distribution Beta(alpha, alpha): small values
        leave one of the two samples nearly alone, 1.0 makes all shares equally likely.
    p : float in [0, 1], default=1.0
        Share of the samples that are mixed.

    Notes
    -----
    Takes samples of any shape; the mixture is in a floating dtype. The partners are a random
    permutation of the batch, which may pair a sample with itself. Other than in [1]_, each sample
    has a share of its own.

    References
    ----------
    .. [1] Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, equation 1.
       https://arxiv.org/abs/1710.09412

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import Mixup
    >>> x = y = torch.eye(4)  # four rows of a table, of a class each
    >>> x, y = Mixup(alpha=1.0)(x, y, torch.Generator().manual_seed(0))
    >>> torch.equal(x, y), y.sum(dim=1).tolist()
    (True, [1.0, 1.0, 1.0, 1.0])
    """

    alpha: float = 0.2
    p: float = 1.0

    _kinds = (TABLE, SERIES, IMAGES, FRAMES)

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_number("Mixup", "alpha", self.alpha, 0, 1e3, closed="right")
        check_number("Mixup", "p", self.p, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Mix every sample with its partner."""
        y = check_labels("Mixup", x, y)
        draws = Draws(x, generator)
        partner, share = draws.partners(), draws.beta(self.alpha)
        share = torch.where(draws.happens(self.p), share, 1.0)
        values = widen(x)
        mixed = torch.lerp(values[partner], values, per_sample(share, x).to(values.dtype))
        return mixed, torch.lerp(y[partner], y, share[:, None].to(y.dtype))


@register
@dataclass(repr=False)
class CutMix(Augmentation):
    r"""Paste a box of another sample of the batch into each sample, at all steps and channels.

    Parameters
    ----------
    alpha : float in (0, 1000], default=1.0
        The box takes the share :math:`1 - \lambda` of the map, with :math:`\lambda` from
        Beta(alpha, alpha), unless it reaches over the edge, where it is cut off.
    label : {"area", "events"}, default="area"
        What the label of the partner counts for: the share of the box in the map, as in [1]_, or
        the share of its events in the mixture, as in :class:`EventMix`.
    p : float in [0, 1], default=1.0
        Share of the samples that are mixed.

    Notes
    -----
    The dtype is kept. The partners are a random permutation of the batch, which may pair a sample
    with itself. Other than in [1]_, each sample has a share and a box of its own.

    References
    ----------
    .. [1] Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
       Features", ICCV 2019, equations 1 and 2. https://arxiv.org/abs/1905.04899

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import CutMix
    >>> x = torch.arange(2).reshape(2, 1, 1, 1).expand(2, 1, 8, 8)
    >>> x, y = CutMix()(x, torch.eye(2), torch.Generator().manual_seed(0))
    >>> torch.equal(y[:, 1], x.float().mean((1, 2, 3)))
    True
    """

    alpha: float = 1.0
    label: str = "area"
    p: float = 1.0

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_number("CutMix", "alpha", self.alpha, 0, 1e3, closed="right")
        check_choice("CutMix", "label", self.label, ("area", "events"))
        check_number("CutMix", "p", self.p, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Paste a box of its partner into every sample."""
        y = check_labels("CutMix", x, y)
        draws = Draws(x, generator)
        partner = draws.partners()
        side = (1 - draws.beta(self.alpha)).sqrt() * draws.happens(self.p)
        height, width = ((side * pixels).long() for pixels in x.shape[-2:])
        top = draws.integers(0, x.shape[-2] - 1) - height // 2
        left = draws.integers(0, x.shape[-1] - 1) - width // 2
        pasted = box(x, top, left, height, width)
        mask = pasted.reshape(len(x), *[1] * (x.ndim - 3), *pasted.shape[1:])
        return paste(x, y, partner, mask, self.label)


def check_labels(owner: str, x: Tensor, y: Tensor | None) -> Tensor:
    """Return soft labels, or raise."""
    if y is None or y.ndim != 2 or len(y) != len(x) or not y.is_floating_point():
        got = None if y is None else f"shape {tuple(y.shape)} of {y.dtype}"
        raise ValueError(
            f"y of {owner} must hold floating soft labels of shape ({len(x)}, n_classes). "
            f"Got {got} instead."
        )
    return y


def paste(x: Tensor, y: Tensor, partner: Tensor, mask: Tensor, label: str) -> tuple[Tensor, Tensor]:
    """Replace what `mask` (broadcast) covers by the partner's, and mix the labels accordingly."""
    other = x[partner]
    share = mask.flatten(1).float().mean(dim=1)
    if label == "events":
        share = event_share(x, other, mask, share)
    mixed = torch.lerp(y, y[partner], share[:, None].to(y.dtype))
    return torch.where(mask, other, x), mixed


def event_share(x: Tensor, other: Tensor, mask: Tensor, area: Tensor) -> Tensor:
    r"""Return the share of the partner in a mixture, by events.

    With the share :math:`a` of the events of `x` and :math:`b` of those of `other` that `mask`
    covers, :math:`b / (1 - a + b)`. A recording without events counts by its `area` instead, and so
    does a mixture without any.
    """
    inside, partner = (_covered(values, mask, area) for values in (x, other))
    total = 1 - inside + partner
    return torch.where(total > 0, partner / total, area)


def _covered(x: Tensor, mask: Tensor, area: Tensor) -> Tensor:
    """Return the share of the events of each sample that `mask` covers."""
    size = widen(x).abs()
    total = size.flatten(1).sum(dim=1)
    covered = (size * mask).flatten(1).sum(dim=1)
    return torch.where(total > 0, covered / total, area).to(area.dtype)

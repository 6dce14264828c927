"""EventMix: blobs of one recording in another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validation import check_choice, check_number
from ._base import FRAMES, Augmentation
from ._draws import Draws
from ._mix import check_labels, paste
from ._registry import register

__all__ = ["EventMix"]


@register
@dataclass(repr=False)
class EventMix(Augmentation):
    r"""Paste a blob in space and time of another recording of the batch into each recording.

    The blob is where the density of a random mixture of Gaussians in time, height and width is
    highest, cut off so that it fills the share that was drawn.

    Parameters
    ----------
    alpha : float in (0, 1000], default=1.0
        The blob takes the share :math:`1 - \lambda` of the volume, with :math:`\lambda` from
        Beta(alpha, alpha).
    n_gaussians : int or None, default=None
        Number of Gaussians; None draws 2, 3 or 4 for each sample.
    label : {"events", "volume"}, default="events"
        What the label of the partner counts for: with the share :math:`a` of the recording's
        events and :math:`b` of the partner's events that the blob covers,
        :math:`b / (1 - a + b)`; or the share of the blob in the volume.
    p : float in [0, 1], default=1.0
        Share of the samples that are mixed.

    Notes
    -----
    Takes frames, and keeps their dtype; both polarities of a pixel come from one recording. As in
    the code of [1]_, the weight of each Gaussian is drawn from [0, 1), its centre from all
    positions, and its standard deviation along each axis from [0, 1), but not below 0.1, times
    half the length of the axis. Where the recording or the partner has no events, the volume
    counts.

    Differences from that code: the partners are a permutation of the batch, which may pair a
    sample with itself; no salt-and-pepper noise is added (:class:`Noise` does); and the labels by
    the distance of recordings, an alternative of the paper, are left out.

    References
    ----------
    .. [1] Shen et al., "EventMix: An Efficient Augmentation Strategy for Event-Based Data", 2022.
       https://arxiv.org/abs/2205.12054

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import EventMix
    >>> x = torch.arange(2).reshape(2, 1, 1, 1, 1).expand(2, 5, 2, 8, 8)
    >>> x, y = EventMix(label="volume")(x, torch.eye(2), torch.Generator().manual_seed(0))
    >>> torch.allclose(y[:, 1], x.float().mean((1, 2, 3, 4)))
    True
    """

    alpha: float = 1.0
    n_gaussians: int | None = None
    label: str = "events"
    p: float = 1.0

    _kinds = (FRAMES,)

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_number("EventMix", "alpha", self.alpha, 0, 1e3, closed="right")
        if self.n_gaussians is not None:
            check_number("EventMix", "n_gaussians", self.n_gaussians, 1, integer=True)
        check_choice("EventMix", "label", self.label, ("events", "volume"))
        check_number("EventMix", "p", self.p, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Paste a blob of its partner into every recording."""
        y = check_labels("EventMix", x, y)
        draws = Draws(x, generator)
        partner = draws.partners()
        share = (1 - draws.beta(self.alpha)) * draws.happens(self.p)
        blob = _densest(self._density(x, draws), share)
        return paste(x, y, partner, blob[:, :, None], self.label)

    def _density(self, x: Tensor, draws: Draws) -> Tensor:
        """Draw a mixture of Gaussians for each sample; return its density `(N, T, H, W)`."""
        most = 4 if self.n_gaussians is None else self.n_gaussians
        weight = torch.stack([draws.uniform() for _ in range(most)])  # (K, N)
        if self.n_gaussians is None:
            weight = weight * (torch.arange(most, device=x.device)[:, None] < draws.integers(2, 4))
        curves = [_gaussians(length, most, draws) for length in (x.shape[1], *x.shape[-2:])]
        # far from all centres 1e-261: float64 tells such places apart, float32 does not
        return torch.einsum("kn,knt,knh,knw->nthw", weight.double(), *curves)


def _gaussians(length: int, number: int, draws: Draws) -> Tensor:
    """Draw Gaussians along one axis for each sample, `(number, N, length)`, of height one."""
    centre = torch.stack([draws.integers(0, length - 1) for _ in range(number)])
    spread = torch.stack([draws.uniform() for _ in range(number)]).clamp_min(0.1) * (length / 2)
    place = torch.arange(length, device=draws.device)
    z = (place - centre[..., None]) / spread[..., None].double()
    return (-0.5 * z.square()).exp()


def _densest(density: Tensor, share: Tensor) -> Tensor:
    """Return which places, that share of each sample, are densest; those as dense join them."""
    values = density.flatten(1)
    n_places = values.shape[1]
    n_chosen = (share * n_places).round().long()
    first = (n_places - n_chosen).clamp_max(n_places - 1)[:, None]
    threshold = values.sort(dim=1).values.gather(1, first)
    return ((values >= threshold) & (n_chosen > 0)[:, None]).reshape(density.shape)

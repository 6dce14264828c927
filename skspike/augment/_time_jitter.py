"""Events a little earlier or later."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validation import check_number
from ._base import FRAMES, SERIES, Augmentation
from ._counts import narrow, thin, widen
from ._draws import Draws
from ._registry import register

__all__ = ["TimeJitter"]


@register
@dataclass(repr=False)
class TimeJitter(Augmentation):
    """Move events to neighbouring steps, and recordings in time.

    Parameters
    ----------
    share : float in [0, 1], default=0.2
        Probability with which an event moves to the step before or after, each with equal chance;
        at the ends of a recording, events that would leave it stay.
    max_shift : int, default=0
        Largest number of steps by which a whole recording is moved; the number is drawn evenly
        between ``-max_shift`` and ``max_shift``. Steps that leave the recording are lost, and
        empty ones come in.

    Notes
    -----
    Takes counts, with a time axis: maps and series. The dtype is kept. Without `max_shift` every
    event is kept, as long as the dtype holds the counts; in maps of ``values="binary"`` two events
    may meet.

    The noise of a camera's clock and latency looks like this [1]_.

    References
    ----------
    .. [1] Lichtsteiner et al., "A 128 x 128 120 dB 15 µs Latency Asynchronous Temporal Contrast
       Vision Sensor", IEEE Journal of Solid-State Circuits, 2008, section V.

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import TimeJitter
    >>> x = torch.tensor([[[0], [90], [0]]], dtype=torch.uint8)  # one series of three steps
    >>> moved, _ = TimeJitter(share=1.0)(x, None, torch.Generator().manual_seed(0))
    >>> moved[0, 1].item(), moved.sum().item()
    (0, 90)
    """

    share: float = 0.2
    max_shift: int = 0

    _kinds = (SERIES, FRAMES)

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_number("TimeJitter", "share", self.share, 0, 1)
        check_number("TimeJitter", "max_shift", self.max_shift, 0, integer=True)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Move events, then every recording by its own shift."""
        if self.share > 0:
            x = _jitter(x, self.share, generator)
        if self.max_shift > 0:
            shift = Draws(x, generator).integers(-self.max_shift, self.max_shift)
            x = _shift_steps(x, shift)
        return x, y


def _jitter(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Move each event with probability `share` to the step before or after."""
    moved = thin(x, torch.full((1,), share, device=x.device), generator)
    earlier = widen(thin(moved, torch.full((1,), 0.5, device=x.device), generator))
    moved = widen(moved)
    counts, later = widen(x) - moved, moved - earlier
    counts[:, :-1] += earlier[:, 1:]
    counts[:, :1] += earlier[:, :1]
    counts[:, 1:] += later[:, :-1]
    counts[:, -1:] += later[:, -1:]
    return narrow(counts, x.dtype)


def _shift_steps(x: Tensor, shift: Tensor) -> Tensor:
    """Move each recording by its own number of steps, and fill with zeros."""
    n_steps = x.shape[1]
    source = torch.arange(n_steps, device=x.device) - shift[:, None]  # (N, T)
    inside = (source >= 0) & (source < n_steps)
    steps = x.flatten(2)  # (N, T, C * H * W)
    index = source.clamp(0, n_steps - 1)[:, :, None].expand_as(steps)
    return (steps.gather(1, index) * inside[:, :, None]).reshape(x.shape)

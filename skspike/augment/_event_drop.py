"""EventDrop: recordings that lack some of their events."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validation import check_choice, check_number
from ._base import FRAMES, IMAGES, SERIES, TABLE, Augmentation
from ._counts import thin
from ._draws import Draws, per_sample
from ._pixels import box
from ._registry import register

__all__ = ["EventDrop"]

_MODES = ("random", "time", "area")


@register
@dataclass(repr=False)
class EventDrop(Augmentation):
    """Drop events at random, in an interval of time, or in a box of the sensor.

    Each sample is left as it is or loses events in one of the ways of `modes`, all with equal
    chance.

    Parameters
    ----------
    modes : tuple of {"random", "time", "area"}, default=("random", "time", "area")
        The ways to choose from. ``"random"`` drops each event with the same probability,
        ``"time"`` those of an interval, which begins anywhere in the recording and ends with it
        at the latest, and ``"area"`` those of a box, the same one at all steps.
    max_ratio : float in [0, 1], default=0.9
        Largest probability, and largest length of the interval as a share of the recording; drawn
        from the nine multiples ``max_ratio * k / 9``.
    max_area : float in [0, 1], default=0.25
        Largest height and width of the box as a share of each side; drawn from the five multiples
        ``max_area * k / 5``.

    Notes
    -----
    Takes counts: of maps, of series with ``modes=("random", "time")``, and of tables with
    ``modes=("random",)``. The dtype is kept. A sample that would lose all its events keeps them.

    Differences from [1]_, which works on single events: each event is dropped by its own draw, so
    that the share that is lost varies a little; events have the time of their step only, so an
    interval that covers part of a step drops each of its events with that probability; and
    ``"area"`` drops a box, as the paper has it, where its code drops all rows and columns that
    the box touches.

    References
    ----------
    .. [1] Gu et al., "EventDrop: Data Augmentation for Event-based Learning", IJCAI 2021, section 3
       and algorithm 1. https://arxiv.org/abs/2106.05836

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import EventDrop
    >>> x = torch.full((100, 5, 2, 8, 8), 3, dtype=torch.uint8)
    >>> kept, _ = EventDrop()(x, None, torch.Generator().manual_seed(0))
    >>> 0.6 < (kept.sum() / x.sum()).item() < 0.8
    True
    """

    modes: tuple[str, ...] = _MODES
    max_ratio: float = 0.9
    max_area: float = 0.25

    _kinds = (TABLE, SERIES, IMAGES, FRAMES)

    def check(self, sample_shape: tuple[int, ...]) -> None:
        """Raise unless the parameters are valid and samples have the axes of every mode.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one sample, without the axis of the samples.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or samples lack an axis that a mode takes.
        """
        super().check(sample_shape)
        kind = len(sample_shape)
        lacking = {"time": kind in (TABLE, IMAGES), "area": kind in (TABLE, SERIES)}
        for mode in self.modes:
            if lacking.get(mode):
                raise ValueError(
                    f"The 'modes' parameter of EventDrop must not hold {mode!r} for samples of "
                    f"shape {tuple(sample_shape)}, which have no such axis. "
                    f"Got {self.modes!r} instead."
                )

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        for mode in self.modes or [None]:
            check_choice("EventDrop", "modes", mode, _MODES)
        check_number("EventDrop", "max_ratio", self.max_ratio, 0, 1)
        check_number("EventDrop", "max_area", self.max_area, 0, 1)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Drop events of each sample in its own way."""
        draws = Draws(x, generator)
        mode = draws.integers(0, len(self.modes))  # the last one leaves a sample as it is
        ratio = self.max_ratio / 9 * draws.integers(1, 9)
        keep = torch.ones_like(per_sample(ratio, x))
        for k, name in enumerate(self.modes):
            if name == "random":
                kept = per_sample(1 - ratio, x)
            elif name == "time":
                kept = _outside_interval(x, draws.uniform(), ratio)
            else:
                kept = _outside_box(x, self.max_area / 5 * draws.integers(1, 5), draws)
            keep = torch.where(per_sample(mode == k, x), kept, keep)
        thinned = thin(x, keep, generator)
        empty = ~(thinned != 0).flatten(1).any(dim=1)
        return torch.where(per_sample(empty, x), x, thinned), y


def _outside_interval(x: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """Return which part of each step, `(N, T, 1, ...)`, lies outside one interval per sample."""
    n_steps = x.shape[1]
    edge = torch.arange(n_steps + 1, device=x.device) / n_steps
    # how much of the interval lies before each edge of the steps, in steps
    covered = (edge - start[:, None]).clamp_min(0).minimum(length[:, None]) * n_steps
    outside = 1 - covered.diff(dim=1)
    return outside.reshape(*outside.shape, *[1] * (x.ndim - 2))


def _outside_box(x: Tensor, side: Tensor, draws: Draws) -> Tensor:
    """Return which pixels, `(N, 1, ..., H, W)`, lie outside one box per sample."""
    corners, sides = [], []
    for pixels in x.shape[-2:]:
        length = side * pixels
        corners.append((draws.uniform(0, pixels) - length / 2).clamp_min(0).floor())
        sides.append(length)
    outside = ~box(x, *corners, *sides)
    return outside.reshape(len(x), *[1] * (x.ndim - 3), *outside.shape[1:]).float()

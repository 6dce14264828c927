"""Several augmentations as one, and one from a name, an object or a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ._base import FRAMES, IMAGES, SERIES, TABLE, Augmentation
from ._draws import Draws, per_sample
from ._registry import create

__all__ = ["Compose", "OneOf", "make_augmentation"]


def make_augmentation(spec: Any) -> Callable | None:
    """Turn what estimators take as `augment` into one callable.

    Parameters
    ----------
    spec : None, str, callable or list
        Nothing; a name from :func:`list_augmentations`; an object such as ``Flip()``, or any other
        callable; or a list of these, applied one after the other.

    Returns
    -------
    augmentation : callable or None
        Takes ``(x, y, generator)`` and returns ``(x, y)``: `x` of shape (n_samples, ...), `y` of
        shape (n_samples, n_classes) or None, and a ``torch.Generator`` of the device of `x`.

    Raises
    ------
    ValueError
        If no augmentation has that name.
    TypeError
        If `spec` is nothing of the above.

    Notes
    -----
    Augmentations of this package never touch the global generators, unless `generator` is None:
    then they draw from torch's.

    Examples
    --------
    >>> from skspike.augment import Shift, make_augmentation
    >>> make_augmentation("flip")
    Flip()
    >>> make_augmentation(["flip", Shift(max_shift=2)])
    Compose(steps=['flip', Shift(max_shift=2)])
    """
    if spec is None:
        return None
    if isinstance(spec, str):
        return create(spec)
    if isinstance(spec, (list, tuple)):
        return Compose(list(spec))
    if isinstance(spec, type) or not callable(spec):
        raise TypeError(
            "An augmentation must be None, a name, an object such as Flip(), or a list of these. "
            f"Got {spec!r} instead."
        )
    return spec


@dataclass(repr=False)
class Compose(Augmentation):
    """Apply augmentations one after the other.

    Parameters
    ----------
    steps : list
        Names, objects, or lists of these; None leaves a batch as it is.

    See Also
    --------
    make_augmentation : Turns a list into a Compose, as estimators do.

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import Compose, Flip, PolarityFlip
    >>> x = torch.arange(4.0).reshape(1, 2, 1, 2)
    >>> both = Compose([Flip(p=1.0), PolarityFlip(p=1.0)])
    >>> both(x, None, torch.Generator())[0].flatten().tolist()
    [3.0, 2.0, 1.0, 0.0]
    """

    steps: list

    _kinds = (TABLE, SERIES, IMAGES, FRAMES)

    def check(self, sample_shape: tuple[int, ...]) -> None:
        """Raise unless every step is valid and can augment samples of this shape.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one sample, without the axis of the samples.

        Raises
        ------
        ValueError
            If a step has a parameter out of its range, or cannot augment such samples.
        """
        super().check(sample_shape)
        check_all(self.steps, sample_shape)

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_list("Compose", "steps", self.steps)

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Apply every step to the batch."""
        for step in map(make_augmentation, self.steps):
            x, y = (x, y) if step is None else step(x, y, generator)
        return x, y


@dataclass(repr=False)
class OneOf(Augmentation):
    """Apply one of several augmentations to each sample, all with equal chance.

    Parameters
    ----------
    options : list
        Names, objects, or lists of these; None leaves a sample as it is.

    Notes
    -----
    Every option is computed for the whole batch, and each sample takes one of the results: that
    costs as much as all options together, but nothing waits for the device.

    Examples
    --------
    >>> import torch
    >>> from skspike.augment import Flip, OneOf
    >>> x = torch.tensor([[[[1, 2, 3]]]]).expand(1000, 1, 1, 3)
    >>> half, _ = OneOf([None, Flip(p=1.0)])(x, None, torch.Generator().manual_seed(0))
    >>> 450 < (half[..., 0] == 3).sum() < 550
    tensor(True)
    """

    options: list

    _kinds = (TABLE, SERIES, IMAGES, FRAMES)

    def check(self, sample_shape: tuple[int, ...]) -> None:
        """Raise unless every option is valid and can augment samples of this shape.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one sample, without the axis of the samples.

        Raises
        ------
        ValueError
            If an option has a parameter out of its range, or cannot augment such samples.
        """
        super().check(sample_shape)
        check_all(self.options, sample_shape)

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""
        check_list("OneOf", "options", self.options)
        if not self.options:
            raise ValueError(
                "The 'options' parameter of OneOf must hold at least one. Got [] instead."
            )

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Give each sample the result of one option."""
        chosen = Draws(x, generator).integers(0, len(self.options) - 1)
        new_x, new_y = x, y
        for k, option in enumerate(map(make_augmentation, self.options)):
            if option is None:
                continue
            one_x, one_y = option(x, y, generator)
            here = chosen == k
            new_x = torch.where(per_sample(here, x), one_x, new_x)
            if new_y is not None and one_y is not y:
                new_y = torch.where(here[:, None], one_y, new_y)
        return new_x, new_y


def check_list(owner: str, name: str, value: Any) -> None:
    """Raise unless `value` is a list or a tuple."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(
            f"The {name!r} parameter of {owner} must be a list of augmentations. "
            f"Got {value!r} instead."
        )


def check_all(specs: list, sample_shape: tuple[int, ...]) -> None:
    """Check every augmentation that can be checked."""
    for augmentation in map(make_augmentation, specs):
        check = getattr(augmentation, "check", None)
        if check is not None:
            check(sample_shape)

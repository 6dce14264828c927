"""What every augmentation shares: parameters as scikit-learn handles them, and the checks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from .._validation import check_choice

__all__ = ["FRAMES", "IMAGES", "SERIES", "TABLE", "Augmentation"]

# the kinds of samples, by the number of their axes
TABLE, SERIES, IMAGES, FRAMES = 1, 2, 3, 4
_SHAPES = {
    TABLE: "(n_samples, n_features)",
    SERIES: "(n_samples, n_steps, n_features)",
    IMAGES: "(n_samples, n_channels, height, width)",
    FRAMES: "(n_samples, n_steps, n_channels, height, width)",
}


@dataclass(repr=False)
class Augmentation:
    """Base of the augmentations: dataclasses whose instances change a batch when they are called.

    A subclass says in `_kinds` which samples it takes, checks its parameters in
    `_check_parameters`, and draws and changes in `_apply`, which never sees an empty batch.
    """

    _kinds: ClassVar[tuple[int, ...]] = (IMAGES, FRAMES)

    def __call__(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the batch changed at random: new tensors, or the same ones where nothing is."""
        self.check(tuple(x.shape[1:]))
        return self._apply(x, y, generator) if len(x) else (x, y)

    def check(self, sample_shape: tuple[int, ...]) -> None:
        """Raise unless the parameters are valid and samples of this shape can be augmented.

        Parameters
        ----------
        sample_shape : tuple of int
            Shape of one sample, without the axis of the samples.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or samples lack the axes that it takes.
        """
        self._check_parameters()
        if len(sample_shape) not in self._kinds:
            shapes = " or ".join(_SHAPES[kind] for kind in self._kinds)
            raise ValueError(
                f"X augmented by {type(self).__name__} must have shape {shapes}. "
                f"Got samples of shape {tuple(sample_shape)} instead."
            )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, as scikit-learn's estimators do.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list the parameters of parameters too, as ``name__parameter``.

        Returns
        -------
        params : dict
            Names and values.
        """
        params = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in list(params.items()) if deep else ():
            if hasattr(value, "get_params") and not isinstance(value, type):
                params.update({f"{name}__{k}": v for k, v in value.get_params().items()})
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name, as scikit-learn's estimators do.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : object
            The augmentation.

        Raises
        ------
        ValueError
            If there is no parameter of that name.
        """
        for name, value in params.items():
            check_choice(type(self).__name__, "set_params", name, self.get_params(deep=False))
            setattr(self, name, value)
        return self

    def _check_parameters(self) -> None:
        """Raise unless every parameter is in its range."""

    def _apply(
        self, x: Tensor, y: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return a batch of one sample or more, changed at random."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Show the parameters that differ from their defaults."""
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        for field in fields(self):
            value = shown[field.name]
            if type(value) is type(field.default) and value == field.default:
                del shown[field.name]
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"

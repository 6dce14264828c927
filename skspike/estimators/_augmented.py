"""Augmentation of training batches: labels become soft, and weights follow the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional as F

from ..augment import make_augmentation

__all__ = ["Augmenter", "check_augmentation"]


class Augmenter:
    """Changes batches `(x, y)` of :class:`Batches` on the device where they lie.

    Labels go in as indices and come out as soft labels. The weight of a sample goes where its label
    goes: a mixture of a share `s` of one sample and `1 - s` of another has the weight
    `s * w + (1 - s) * w'`, and the gradient of its loss is `s * w` times that of the first label
    plus `(1 - s) * w'` times that of the second, for every loss here.

    Parameters
    ----------
    augmentation : callable
        Takes `(x, y, generator)`, returns `(x, y)`; linear in `y`, whose rows sum to the weights.
    n_classes : int
    generator : torch.Generator
        Of the device of the batches.
    """

    def __init__(self, augmentation: Callable, n_classes: int, generator: torch.Generator) -> None:
        self.augmentation, self.n_classes, self.generator = augmentation, n_classes, generator

    def __call__(self, batch: tuple) -> tuple:
        """Return the augmented batch."""
        x, y = batch
        weighted = isinstance(x, Mapping)
        values = x["x"] if weighted else x
        y = F.one_hot(y, self.n_classes).float()
        if weighted:
            y = y * x["sample_weight"][:, None]
        changed, soft = self.augmentation(values, y, self.generator)
        for name, new, old in (("x", changed, values), ("y", soft, y)):
            if new.shape != old.shape:
                raise ValueError(
                    f"An augmentation must return {name} of the shape that it was given, "
                    f"{tuple(old.shape)}. Got shape {tuple(new.shape)} from "
                    f"{self.augmentation!r} instead."
                )
        if not weighted:
            return changed, soft
        weight = soft.sum(dim=1)
        # a weight of zero leaves a label of zeros, which has no loss
        soft = soft / weight.clamp_min(torch.finfo(weight.dtype).tiny)[:, None]
        return {"x": changed, "sample_weight": weight}, soft


def check_augmentation(augment: object, sample_shape: tuple[int, ...]) -> None:
    """Raise unless `augment` names augmentations that take samples of this shape."""
    check = getattr(make_augmentation(augment), "check", None)
    if check is not None:
        check(sample_shape)

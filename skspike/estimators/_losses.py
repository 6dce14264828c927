"""Losses over time and the probabilities that each of them estimates.

A network answers at every step: `outputs` has shape `(n_samples, n_steps, n_classes)`. The target
is a class index per sample, or soft labels `(n_samples, n_classes)`; one-hot labels give what their
indices give, bit by bit. A loss gives one number per sample, so that sample weights can be applied
afterwards.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import softmax
from torch.nn import functional as F

__all__ = ["LOSSES", "PROBABILITIES", "PerSampleLoss", "project_to_simplex"]


def mse(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared distance of the time mean to the (one-hot) target, averaged over classes."""
    mean = outputs.mean(dim=1)
    target = F.one_hot(target, mean.shape[1]) if target.ndim == 1 else target
    return (mean - target.to(mean.dtype)).square().mean(dim=1)


def cross_entropy(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the time mean."""
    return F.cross_entropy(outputs.mean(dim=1), _like(target, outputs), reduction="none")


def tet(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of every step, averaged over steps (temporal efficient training)."""
    target = _like(target, outputs)
    every_step = target[..., None].expand(*target.shape, outputs.shape[1])
    return F.cross_entropy(outputs.transpose(1, 2), every_step, reduction="none").mean(dim=1)


def _like(target: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """Return soft labels in the dtype of the outputs, indices as they are."""
    return target if target.ndim == 1 else target.to(outputs.dtype)


def project_to_simplex(scores: np.ndarray) -> np.ndarray:
    """Move each row of `scores` to the nearest point whose entries are >= 0 and sum to 1.

    Duchi, Shalev-Shwartz, Singer and Chandra (ICML 2008): subtract one number from the whole row,
    clip at zero. The order of the entries, hence the argmax, is kept.
    """
    descending = -np.sort(-scores, axis=-1)
    n_kept = np.arange(1, scores.shape[-1] + 1)
    # shift[k]: what to subtract if exactly the k + 1 largest entries stay positive
    shift = (np.cumsum(descending, axis=-1) - 1) / n_kept
    last = np.sum(descending > shift, axis=-1, keepdims=True) - 1
    return np.maximum(scores - np.take_along_axis(shift, last, axis=-1), 0.0)


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    return softmax(scores, axis=-1)


LOSSES = {"mse": mse, "cross_entropy": cross_entropy, "tet": tet}
PROBABILITIES = {"mse": project_to_simplex, "cross_entropy": _softmax, "tet": _softmax}


class PerSampleLoss(torch.nn.Module):
    """A loss by name, as the module that skorch wants for a criterion."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return one loss per sample."""
        return LOSSES[self.name](outputs, target)

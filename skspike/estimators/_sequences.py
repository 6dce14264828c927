"""Sequences of different lengths: one flat array, cut where each begins; batches are padded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch

__all__ = ["Padded", "PaddedRows", "Sequences", "are_sequences", "weighted_moments"]


class Padded(NamedTuple):
    """A batch of sequences, zeros after their ends."""

    x: torch.Tensor  # (n_samples, n_steps, ...)
    lengths: torch.Tensor  # (n_samples,)


class Sequences:
    """Sequences one after the other in one array.

    Parameters
    ----------
    flat : ndarray of shape (n_steps_of_all, ...)
    offsets : ndarray of int of shape (n_sequences + 1,)
        Sequence i holds the steps from ``offsets[i]`` to ``offsets[i + 1] - 1``.
    """

    def __init__(self, flat: np.ndarray, offsets: np.ndarray) -> None:
        self.flat, self.offsets = flat, offsets

    @classmethod
    def join(cls, parts: list[np.ndarray]) -> Sequences:
        """Copy sequences into one array."""
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
        return cls(np.concatenate(parts), offsets)

    @property
    def lengths(self) -> np.ndarray:
        """Number of steps of each sequence."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> np.ndarray:
        return self.flat[self.offsets[i] : self.offsets[i + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def patched(self, size: int) -> Sequences:
        """Join `size` steps at a time to one, the last ones with zeros."""
        return self if size == 1 else Sequences.join([patch(part[None], size)[0] for part in self])


class PaddedRows:
    """What `Rows` is for an array, for sequences of different lengths.

    Parameters
    ----------
    X : Sequences
    device : torch.device
    """

    def __init__(self, X: Sequences, device: torch.device) -> None:
        self.X, self.device, self.lengths = X, device, X.lengths

    def index(self, rows: np.ndarray) -> torch.Tensor:
        """Put numbers of rows where `stream` reads them."""
        return torch.from_numpy(rows)

    def stream(self, parts: Iterable[torch.Tensor]) -> Iterator[Padded]:
        """Yield the sequences of each part on the device, as long as the longest of them."""
        for part in parts:
            rows = part.numpy()
            lengths = self.lengths[rows]
            flat = self.X.flat
            x = np.zeros((len(rows), lengths.max(), *flat.shape[1:]), flat.dtype)
            for values, i, length in zip(x, rows, lengths, strict=True):
                values[:length] = self.X[i]
            yield Padded(*(torch.from_numpy(a).to(self.device) for a in (x, lengths)))


def are_sequences(X) -> bool:
    """Tell whether X is a list of arrays; a list of lists is a table, as everywhere."""
    if isinstance(X, Sequences):
        return True
    objects = isinstance(X, np.ndarray) and X.dtype.kind == "O" and X.ndim == 1
    if len(X) == 0 if isinstance(X, (list, tuple)) else not objects:
        return False
    return all(isinstance(part, (np.ndarray, torch.Tensor)) for part in X)


def patch(x: np.ndarray, size: int) -> np.ndarray:
    """Join `size` steps of (n_samples, n_steps, n_features) to one; zeros fill the last."""
    n_samples, n_steps, n_features = x.shape
    missing = -n_steps % size
    x = np.pad(x, ((0, 0), (0, missing), (0, 0))) if missing else x
    return x.reshape(n_samples, -1, size * n_features)


def weighted_moments(X, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature, over all steps of weighted samples.

    A feature that never changes has the deviation 1. Both are rounded to single precision, so that
    they do not depend on whether a sample is repeated or weighted.
    """
    flat, lengths = _flat(X)
    share = np.ones(len(X)) if weight is None else weight
    share = np.repeat(share / (share @ lengths), lengths)
    mean = share @ flat
    scale = np.sqrt(share @ np.square(flat - mean))
    scale = np.where(scale > 1e-6 * np.abs(mean), scale, 1.0)
    return tuple(np.asarray(values, np.float32).astype(np.float64) for values in (mean, scale))


def _flat(X) -> tuple[np.ndarray, np.ndarray]:
    """Return all steps of all samples in double precision, and how many each sample has."""
    if isinstance(X, Sequences):
        return X.flat.astype(np.float64), X.lengths
    flat = X.reshape(-1, X.shape[-1]).astype(np.float64)
    return flat, np.full(len(X), len(flat) // max(len(X), 1))

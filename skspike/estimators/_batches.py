"""Mini-batches that index whole batches at once: no per-sample Dataset, no collate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

__all__ = ["Batches"]

# what torch can hold; anything else (long double, big endian) becomes float32, batch by batch
_TORCH_DTYPES = frozenset("?bBhilqefd")


class Batches:
    """Batches `(x, y)` of the rows of an array, in a new random order at every iteration.

    `x` keeps the dtype of `X`, so that compact data travel compactly; the network converts it.
    With weights, `x` is the dictionary `{"x": x, "sample_weight": w}`, skorch's own convention.

    Parameters
    ----------
    X : ndarray of shape (n_rows, ...)
    y : ndarray of int of shape (n_shown,), or None when predicting
    batch_size : int
    device : torch.device
    rows : ndarray of int of shape (n_shown,), or None for all
        Which rows of `X` to show; a row may be shown several times.
    weight : ndarray of shape (n_shown,) or None
    rng : numpy.random.RandomState or None
        Shuffles at every iteration; None keeps the order.
    min_size : int
        A smaller batch repeats its rows up to this size.
    """

    def __init__(
        self,
        X: np.ndarray,
        y: np.ndarray | None = None,
        *,
        batch_size: int,
        device: torch.device,
        rows: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        rng: np.random.RandomState | None = None,
        min_size: int = 1,
    ) -> None:
        self.X, self.y, self.weight, self.rng = X, y, weight, rng
        self.rows = np.arange(len(X)) if rows is None else rows
        self.batch_size, self.device, self.min_size = batch_size, device, min_size

    def __len__(self) -> int:
        """Return the number of rows shown in one iteration."""
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple]:
        n = len(self)
        order = np.arange(n) if self.rng is None else self.rng.permutation(n)
        for start in range(0, n, self.batch_size):
            yield self._batch(order[start : start + self.batch_size])

    def _batch(self, shown: np.ndarray) -> tuple:
        """Build the batch of the rows at these positions."""
        if len(shown) < self.min_size:
            shown = np.resize(shown, self.min_size)
        x = self._tensor(self.X[self.rows[shown]])
        y = None if self.y is None else self._tensor(self.y[shown])
        if self.weight is None:
            return x, y
        return {"x": x, "sample_weight": self._tensor(self.weight[shown])}, y

    def _tensor(self, batch: np.ndarray) -> torch.Tensor:
        """Wrap an array, without a copy where torch has its dtype, and move it to the device."""
        if batch.dtype.char not in _TORCH_DTYPES or not batch.dtype.isnative:
            batch = batch.astype(np.float32)
        return torch.from_numpy(batch).to(self.device, non_blocking=True)

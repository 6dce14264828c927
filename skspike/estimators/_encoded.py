"""Rows that are encoded when they are shown, on their way to the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from .._encoded import EncodedRows
from ._batches import Rows, torch_dtype
from ._sequences import PaddedRows, Sequences

__all__ = ["StreamedRows", "open_rows"]


@contextmanager
def open_rows(X: np.ndarray | EncodedRows, device: torch.device) -> Iterator[Rows | StreamedRows]:
    """Give access to rows; where processes encode them, these end with the block."""
    if not isinstance(X, EncodedRows):
        yield PaddedRows(X, device) if isinstance(X, Sequences) else Rows(X, device)
        return
    try:
        yield StreamedRows(X, device)
    finally:
        X.close()


class StreamedRows:
    """What `Rows` is for an array, for rows that no memory holds at once.

    Batches arrive in order; where other processes encode, they work on some batches ahead.

    Parameters
    ----------
    X : EncodedRows
    device : torch.device
    """

    def __init__(self, X: EncodedRows, device: torch.device) -> None:
        self.X, self.device = X, device

    def index(self, rows: np.ndarray) -> torch.Tensor:
        """Put numbers of rows where `stream` reads them."""
        return torch.from_numpy(rows)

    def stream(self, parts: Iterable[torch.Tensor | slice]) -> Iterator[torch.Tensor]:
        """Yield the rows of each part, numbers from `index` or a slice, on the device."""
        numbers = np.arange(len(self.X))
        chosen = [numbers[part] if isinstance(part, slice) else part.numpy() for part in parts]
        for rows in self.X.stream(chosen):
            yield self._to_device(rows)

    def _to_device(self, rows: np.ndarray) -> torch.Tensor:
        """Copy rows into a tensor, as compact as torch can hold them."""
        source = torch.from_numpy(np.require(rows, torch_dtype(rows), ["C", "W"]))
        pinned = self.device.type == "cuda"
        batch = torch.empty(source.shape, dtype=source.dtype, pin_memory=pinned).copy_(source)
        return batch.to(self.device, non_blocking=pinned)

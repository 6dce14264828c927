"""Mini-batches that index whole batches at once: no per-sample Dataset, no collate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

__all__ = ["Batches", "Rows", "torch_dtype"]

# what torch can hold; anything else (long double, big endian) becomes float32
_TORCH_DTYPES = frozenset("?bBhilqefd")
# an array that takes less than this share of a device's free memory moves there
_SHARE = 1 / 4
# so many batches are drawn together, and then sorted by the lengths of their sequences
_BATCHES_IN_BUCKET = 16


class Rows:
    """The rows of an array, in its own dtype, so that compact data travel compactly.

    On the CPU they are read where they lie. A CUDA device gets them once, if they take less than a
    quarter of its free memory; otherwise batch by batch, through pinned memory that the device
    copies from while it computes.

    Parameters
    ----------
    X : ndarray of shape (n_rows, ...)
    device : torch.device
    """

    def __init__(self, X: np.ndarray, device: torch.device) -> None:
        self.X, self.device = X, device
        self.resident = device.type == "cpu" or X.nbytes < _SHARE * _free_memory(device)
        self._tensor = _view(X)
        if self.resident and device.type != "cpu":
            self._tensor = (_as_tensor(X) if self._tensor is None else self._tensor).to(device)

    def index(self, rows: np.ndarray) -> torch.Tensor:
        """Put numbers of rows where `take` reads them."""
        index = torch.from_numpy(rows)
        return index.to(self.device) if self.resident else index

    def stream(self, parts: Iterable[torch.Tensor | slice]) -> Iterator[torch.Tensor]:
        """Yield the rows of each part."""
        return map(self.take, parts)

    def take(self, index: torch.Tensor | slice) -> torch.Tensor:
        """Return rows on the device, by their numbers from `index`, or by a slice."""
        if self._tensor is None:
            rows = index if isinstance(index, slice) else index.numpy()
            return _as_tensor(self.X[rows]).to(self.device)
        if self.resident:
            return _select(self._tensor, index)
        # torch reuses pinned memory only when the copy from it has ended
        return _pinned(self._tensor, index).to(self.device, non_blocking=True)


class Batches:
    """Batches `(x, y)` of rows, in a new random order at every iteration.

    `x` keeps the dtype of the rows; the network converts it. With weights, `x` is the dictionary
    `{"x": x, "sample_weight": w}`, skorch's own convention. An iteration moves its indices, labels
    and weights to the device once; what is left for each batch is to gather its rows.

    Parameters
    ----------
    data : Rows or StreamedRows
        What has `index` and `stream`.
    y : ndarray of int of shape (n_shown,)
    rows : ndarray of int of shape (n_shown,)
        Which rows to show; a row may be shown several times.
    batch_size : int
    weight : ndarray of shape (n_shown,) or None
    rng : numpy.random.RandomState or None
        Shuffles at every iteration; None keeps the order.
    min_size : int
        A smaller batch repeats its rows up to this size.
    """

    def __init__(
        self,
        data,
        y: np.ndarray,
        rows: np.ndarray,
        *,
        batch_size: int,
        weight: np.ndarray | None = None,
        rng: np.random.RandomState | None = None,
        min_size: int = 1,
    ) -> None:
        self.data, self.y, self.rows, self.weight, self.rng = data, y, rows, weight, rng
        self.batch_size, self.min_size = batch_size, min_size

    def __len__(self) -> int:
        """Return the number of rows shown in one iteration."""
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple]:
        n = len(self)
        order = np.arange(n) if self.rng is None else self._shuffled(n)
        shown = [order[i : i + self.batch_size] for i in range(0, n, self.batch_size)]
        shown = [np.resize(s, max(len(s), self.min_size)) for s in shown]
        sizes, order = [len(s) for s in shown], np.concatenate(shown)
        index = self.data.index(self.rows[order]).split(sizes)
        y = self._tensor(self.y[order]).split(sizes)
        x = self.data.stream(index)
        if self.weight is None:
            yield from zip(x, y, strict=True)
            return
        weight = self._tensor(self.weight[order]).split(sizes)
        for rows, w, target in zip(x, weight, y, strict=True):
            yield {"x": rows, "sample_weight": w}, target

    def _shuffled(self, n: int) -> np.ndarray:
        """Return a random order, in which sequences of a batch have about the same length."""
        order = self.rng.permutation(n)
        lengths = getattr(self.data, "lengths", None)
        if lengths is None:
            return order
        bucket = _BATCHES_IN_BUCKET * self.batch_size
        buckets = (order[i : i + bucket] for i in range(0, n, bucket))
        order = np.concatenate(
            [b[np.argsort(lengths[self.rows[b]], kind="stable")] for b in buckets]
        )
        batches = [order[i : i + self.batch_size] for i in range(0, n, self.batch_size)]
        last = batches.pop() if n % self.batch_size else order[:0]  # stays last: it is smaller
        return np.concatenate([*(batches[i] for i in self.rng.permutation(len(batches))), last])

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        """Put labels or weights where the rows are taken to."""
        return torch.from_numpy(values).to(self.data.device)


def _free_memory(device: torch.device) -> int:
    """Return the free bytes of a CUDA device."""
    return torch.cuda.mem_get_info(device)[0]


def _select(x: torch.Tensor, index: torch.Tensor | slice) -> torch.Tensor:
    """Return rows of a tensor: a view of a slice, else one gather."""
    return x[index] if isinstance(index, slice) else x.index_select(0, index)


def _pinned(x: torch.Tensor, index: torch.Tensor | slice) -> torch.Tensor:
    """Gather rows of a tensor on the CPU into pinned memory."""
    if isinstance(index, slice):
        return x[index].pin_memory()
    batch = x.new_empty((len(index), *x.shape[1:]), pin_memory=True)
    return torch.index_select(x, 0, index, out=batch)


def _view(X: np.ndarray) -> torch.Tensor | None:
    """Read an array as a tensor without a copy, None where torch cannot."""
    steps = [stride / X.itemsize for stride in X.strides]
    if not _has_torch_dtype(X) or any(step < 0 or step % 1 for step in steps):
        return None
    return torch.from_numpy(X if X.flags.writeable else np.asarray(_Writeable(X)))


def _as_tensor(X: np.ndarray) -> torch.Tensor:
    """Copy an array into a tensor, of float32 where torch lacks the dtype."""
    return torch.from_numpy(np.array(X, torch_dtype(X), order="C"))


def torch_dtype(X: np.ndarray) -> np.dtype:
    """Return the dtype in which torch can hold an array: its own, or else float32."""
    return X.dtype if _has_torch_dtype(X) else np.dtype(np.float32)


def _has_torch_dtype(X: np.ndarray) -> bool:
    """Tell whether torch knows the dtype of an array."""
    return X.dtype.char in _TORCH_DTYPES and X.dtype.isnative


class _Writeable:
    """A read-only array that says it is not: torch warns of those, and we only read."""

    def __init__(self, X: np.ndarray) -> None:
        self.X = X  # owns the memory
        self.__array_interface__ = X.__array_interface__ | {"data": (X.ctypes.data, False)}

"""Dense layouts and cheap allocation for the CPU kernels.

A kernel sees (T, M): time outermost, then the neurons of a step in whatever order memory holds
them. Channels-last tensors therefore pass without a copy.
"""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from .._buffers import LARGE, buffers


class DerivedCache:
    """What was computed of constant tensors, as long as these live and stay as they are."""

    def __init__(self) -> None:
        self._derived = WeakTensorKeyDictionary()
        self._lock = threading.Lock()

    def get(self, x: Tensor, key: Hashable, derive: Callable[[], Any]) -> Any:
        """Return ``derive()``, or what that was before for the same key and the same values.

        A tensor that wants gradients is about to change: for it, nothing is kept.
        """
        if x.requires_grad or x.is_inference():  # those of inference mode count no versions
            return derive()
        state = key, x.data_ptr(), x._version
        with self._lock:
            kept = self._derived.get(x)
        if kept is None or kept[0] != state:
            kept = state, derive()
            with self._lock:
                self._derived[x] = kept
        return kept[1]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._derived.clear()

    def renew_lock(self) -> None:
        """Forget the lock in a forked child: no thread is left there that could release it."""
        self._lock = threading.Lock()


derived = DerivedCache()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=derived.renew_lock)


def empty_cache() -> None:
    """Give the memory that the CPU kernels keep for reuse back to the system.

    Kernels keep the buffers of dead results, up to 512 MiB, because pages in use already are
    several times faster to write than fresh ones. They also keep the spectra of weights that want
    no gradient, those of :func:`skspike.nn.fold_norms` for instance, as long as the weights live.

    Examples
    --------
    >>> from skspike.kernels import empty_cache
    >>> empty_cache()
    """
    derived.clear()
    buffers.clear()


@functools.cache
def numpy_dtype(dtype: torch.dtype) -> np.dtype:
    """Return numpy's name for a dtype; the bits of a bfloat16 are a uint16."""
    if dtype == torch.bfloat16:
        return np.dtype(np.uint16)
    return np.dtype(str(dtype).removeprefix("torch."))


def is_dense(x: Tensor) -> bool:
    """Tell whether the elements of `x` fill one piece of memory, in any order of axes."""
    expected = 1
    for stride, size in sorted(zip(x.stride(), x.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def dense_over_time(x: Tensor) -> Tensor:
    """Return `x`, copied only if its steps are not dense blocks one after the other."""
    if x.is_contiguous():
        return x
    step = x[0]
    ordered = x.shape[0] == 1 or x.stride(0) == step.numel()
    return x if ordered and is_dense(step) else x.contiguous()


def empty_dense(like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return an uninitialised tensor of the shape, strides and (or another) dtype of a tensor."""
    dtype = dtype or like.dtype
    n_bytes = like.numel() * dtype.itemsize
    if n_bytes < LARGE or like.device.type != "cpu":
        return torch.empty_strided(like.shape, like.stride(), dtype=dtype, device=like.device)
    # In place: a view, or a storage that Python has seen, counts as held by others too, and
    # autograd would add up gradients in fresh memory.
    flat = torch.from_numpy(buffers.take(n_bytes)).view(dtype)
    return flat.as_strided_(like.shape, like.stride())


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of the states and of the arithmetic for an input of `dtype`."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def step_buffer(x: Tensor, value: Tensor | float) -> Tensor:
    """Return a fresh tensor laid out as one step of `x`, in its compute dtype, set to `value`."""
    buffer = empty_dense(x[0], compute_dtype(x.dtype))
    return buffer.copy_(value) if isinstance(value, Tensor) else buffer.fill_(value)


def like_layout(x: Tensor, like: Tensor) -> Tensor:
    """Return `x`, copied only if it is not laid out in memory as `like` is."""
    if x.stride() == like.stride():
        return x
    return empty_dense(like, x.dtype).copy_(x)


def rows(x: Tensor) -> np.ndarray:
    """View a dense (T, ...) tensor as a (T, M) array, in memory order."""
    n_steps = x.shape[0]
    n_neurons = math.prod(x.shape[1:])
    return _array(x.detach().as_strided((n_steps, n_neurons), (n_neurons, 1)))


def row(x: Tensor) -> np.ndarray:
    """View a dense tensor as a flat array, in memory order."""
    return _array(x.detach().as_strided((x.numel(),), (1,)))


def _array(x: Tensor) -> np.ndarray:
    """View a tensor as an array; bfloat16 shows its bits."""
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()

"""Dense layouts and cheap allocation for the CPU kernels.

A kernel sees (T, M): time outermost, then the neurons of a step in whatever order memory holds
them. Channels-last tensors therefore pass without a copy.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

HUGE = 4 * 2**20  # bytes from which numpy asks the system for huge pages


def numpy_dtype(x: Tensor) -> np.dtype:
    """Return numpy's name for the dtype of `x`."""
    return np.dtype(str(x.dtype).removeprefix("torch."))


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
    step = x[0]
    ordered = x.shape[0] == 1 or x.stride(0) == step.numel()
    return x if ordered and is_dense(step) else x.contiguous()


def empty_dense(like: Tensor) -> Tensor:
    """Return an uninitialised tensor of the shape, strides and dtype of a dense tensor.

    Large ones come from numpy, which asks the system for huge pages where torch does not: the
    first write to fresh small pages costs more than the arithmetic of a neuron.
    """
    if like.numel() * like.element_size() < HUGE:
        return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype)
    flat = torch.from_numpy(np.empty(like.numel(), numpy_dtype(like)))
    return like.new_empty(0).set_(flat.untyped_storage(), 0, like.shape, like.stride())


def like_layout(x: Tensor, like: Tensor) -> Tensor:
    """Return `x`, copied only if it is not laid out in memory as `like` is."""
    if x.stride() == like.stride():
        return x
    return empty_dense(like).copy_(x)


def rows(x: Tensor) -> np.ndarray:
    """View a dense (T, ...) tensor as a (T, M) array, in memory order."""
    n_steps = x.shape[0]
    n_neurons = math.prod(x.shape[1:])
    return x.detach().as_strided((n_steps, n_neurons), (n_neurons, 1)).numpy()


def row(x: Tensor) -> np.ndarray:
    """View a dense tensor as a flat array, in memory order."""
    return x.detach().as_strided((x.numel(),), (1,)).numpy()

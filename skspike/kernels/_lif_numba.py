"""The LIF neuron compiled for the CPU: forward and backward by hand, fused over time.

Arrays are (T, M): M neurons, each independent of the others. Neurons are taken in blocks that
stay in the cache for all T steps. The forward pass keeps nothing for the backward pass but its
input: recomputing the potentials of a block is cheaper than writing and reading them.

No `fastmath`: the recomputed potential must be the same to the last bit, or a spike flips.
The names in capitals, and those of the surrogate, are compile-time constants.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .._compile_numba import specialize
from .._threads import parallel_for
from ._lif_reference import LIFSpec
from ._memory import dense_over_time, empty_dense, like_layout, numpy_dtype, row, rows
from ._surrogate import SURROGATES

# Bound by `specialize`; the values here only tell the linter that the names exist.
HARD_RESET = INTEGRATE = DECAY_INPUT = DETACH_RESET = True
LEAK_PER_NEURON = STATE_PER_NEURON = LEAK_GRADIENT = False
real = derivative = None

GRAIN = 2**20  # neuron-steps, below 1 ms: for less, a second thread costs more than it brings


# --- templates ---


def charge(x, v, leak, v_rest):
    """Return the potential before reset."""
    if INTEGRATE:
        return v + x
    if DECAY_INPUT:
        return v + (x - (v - v_rest)) * leak
    return v - (v - v_rest) * leak + x


def reset(h, threshold, v_rest):
    """Return the potential after reset."""
    if HARD_RESET:
        return v_rest if h >= threshold else h
    return h - threshold if h >= threshold else h


def _forward(x, leak, v, s, threshold, v_rest, start, stop):
    """Write spikes `s`, and advance the state `v` in place, for neurons start..stop."""
    block = 8192
    for first in range(start, stop, block):
        last = min(first + block, stop)
        v_b = v[first:last]
        for t in range(x.shape[0]):
            x_t = x[t, first:last]
            s_t = s[t, first:last]
            for j in range(last - first):
                k = leak[first + j] if LEAK_PER_NEURON else leak[0]
                h = charge(x_t[j], v_b[j], k, v_rest)
                s_t[j] = real(1) if h >= threshold else real(0)
                v_b[j] = reset(h, threshold, v_rest)


def _backward(x, leak, v0, ds, dv, dx, dleak, threshold, v_rest, alpha, start, stop):
    """Write `dx` (and `dleak`), and take `dv` from the last state back to the first, in place."""
    n_steps = x.shape[0]
    block = max(16, min(8192, 131072 // n_steps))
    h = np.empty((n_steps, block), x.dtype)
    v = np.empty(block, x.dtype)
    for first in range(start, stop, block):
        n = min(block, stop - first)
        for j in range(n):
            v[j] = v0[first + j] if STATE_PER_NEURON else v0[0]
        for t in range(n_steps):
            x_t = x[t, first : first + n]
            h_t = h[t]
            for j in range(n):
                k = leak[first + j] if LEAK_PER_NEURON else leak[0]
                h_t[j] = charge(x_t[j], v[j], k, v_rest)
                v[j] = reset(h_t[j], threshold, v_rest)
        dv_b = dv[first : first + n]
        for t in range(n_steps - 1, -1, -1):
            x_t = x[t, first : first + n]
            ds_t = ds[t, first : first + n]
            dx_t = dx[t, first : first + n]
            h_t = h[t]
            h_before = h[t - 1]
            for j in range(n):
                fired = h_t[j] >= threshold
                ds_dh = derivative(h_t[j] - threshold, alpha)
                if HARD_RESET:
                    dv_dh = real(0) if fired else real(1)
                    if not DETACH_RESET:
                        dv_dh += (v_rest - h_t[j]) * ds_dh
                else:
                    dv_dh = real(1)
                    if not DETACH_RESET:
                        dv_dh -= threshold * ds_dh
                dh = dv_b[j] * dv_dh + ds_t[j] * ds_dh
                k = leak[first + j] if LEAK_PER_NEURON else leak[0]
                dx_t[j] = dh * k if DECAY_INPUT and not INTEGRATE else dh
                dv_b[j] = dh if INTEGRATE else dh * (real(1) - k)
                if LEAK_GRADIENT:
                    if t > 0:
                        v_before = reset(h_before[j], threshold, v_rest)
                    else:
                        v_before = v0[first + j] if STATE_PER_NEURON else v0[0]
                    drive = x_t[j] if DECAY_INPUT else real(0)
                    dleak[first + j] += dh * (drive - (v_before - v_rest))


# --- launchers ---


def where(condition, a, b):
    """Choose between two numbers."""
    return a if condition else b


def lif_numba(x: Tensor, v: Tensor | None, leak: Tensor, spec: LIFSpec) -> tuple[Tensor, Tensor]:
    """Run the neuron over `x` of shape (T, ...); see :func:`lif`.

    `v` is None for the resting state or has the shape of one step; so has `leak`, or one element.
    """
    return _LIF.apply(x, v, leak, spec)


class _LIF(torch.autograd.Function):
    """Join the two compiled passes to autograd."""

    @staticmethod
    def forward(ctx, x, v, leak, spec):
        x = dense_over_time(x)
        step = x[0]
        s, v_last = empty_dense(x), empty_dense(step)
        v_last.fill_(spec.v_rest) if v is None else v_last.copy_(v)
        leak = leak if leak.numel() == 1 else like_layout(leak, step)
        kernel = _kernel(_forward, x.dtype, spec, leak.numel() > 1)
        arrays = rows(x), row(leak), row(v_last), rows(s)
        _run(kernel, *arrays, *_scalars(x, spec.threshold, spec.v_rest))
        ctx.save_for_backward(x, v, leak)
        ctx.spec = spec
        ctx.set_materialize_grads(False)
        return s, v_last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, ds, dv_last):
        x, v, leak = ctx.saved_tensors
        spec, step = ctx.spec, x[0]
        dx, dv = empty_dense(x), empty_dense(step)
        dv.zero_() if dv_last is None else dv.copy_(dv_last)
        ds = torch.zeros_like(x) if ds is None else like_layout(ds, x)
        v0 = x.new_full((1,), spec.v_rest) if v is None else like_layout(v, step)
        learn_leak = ctx.needs_input_grad[2]
        dleak = torch.zeros_like(step) if learn_leak else x.new_empty(1)
        kernel = _kernel(_backward, x.dtype, spec, leak.numel() > 1, learn_leak, v is not None)
        arrays = rows(x), row(leak), row(v0), rows(ds), row(dv), rows(dx), row(dleak)
        scalars = _scalars(x, spec.threshold, spec.v_rest, spec.alpha)
        _run(kernel, *arrays, *scalars)
        if learn_leak and leak.numel() == 1:
            # by numpy: torch would add in another order with another number of threads
            dleak = x.new_tensor(row(dleak).sum()).reshape(leak.shape)
        return dx, dv if v is not None else None, dleak if learn_leak else None, None


@functools.lru_cache(maxsize=1024)
def _kernel(
    template: Callable,
    dtype: torch.dtype,
    spec: LIFSpec,
    leak_per_neuron: bool,
    leak_gradient: bool = False,
    state_per_neuron: bool = False,
) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    return specialize(
        template,
        real=numpy_dtype(dtype).type,
        exp=math.exp,
        tanh=math.tanh,
        absolute=abs,
        where=where,
        charge=charge,
        reset=reset,
        derivative=SURROGATES[spec.surrogate].derivative,
        HARD_RESET=spec.v_reset is not None,
        INTEGRATE=spec.integrate,
        DECAY_INPUT=spec.decay_input,
        DETACH_RESET=spec.detach_reset,
        LEAK_PER_NEURON=leak_per_neuron,
        LEAK_GRADIENT=leak_gradient,
        STATE_PER_NEURON=state_per_neuron,
    )


def _scalars(x: Tensor, *values: float) -> list[np.floating]:
    """Cast numbers to the dtype of `x`, so that the kernel computes in it."""
    real = numpy_dtype(x.dtype).type
    return [real(value) for value in values]


def _run(kernel: Callable, x: np.ndarray, *args: object) -> None:
    """Run a kernel over all neurons with as many threads as torch uses."""
    n_steps, n_neurons = x.shape

    def body(start: int, stop: int) -> None:
        kernel(x, *args, start, stop)

    grain = max(1, GRAIN // n_steps)
    parallel_for(body, n_neurons, grain=grain, n_threads=torch.get_num_threads())

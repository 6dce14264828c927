"""The spiking neurons compiled for the CPU: forward and backward by hand, fused over time.

Arrays are (T, M): M neurons, each independent of the others. Neurons are taken in blocks that
stay in the cache for all T steps. The backward pass needs nothing but the input: recomputing the
potentials of a block is cheaper than writing and reading them, though that can be chosen too.

No `fastmath`: the recomputed potential must be the same to the last bit, or a spike flips.
The names in capitals, those of the surrogate, `load` and `store` are compile-time constants.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .._buffers import LINE
from .._compile_numba import specialize
from .._floats_numba import load_bfloat16, same, store_bfloat16
from .._threads import parallel_for
from ._memory import (
    compute_dtype,
    dense_over_time,
    empty_dense,
    like_layout,
    numpy_dtype,
    row,
    rows,
    step_buffer,
)
from ._spec import NeuronSpec
from ._surrogate import SURROGATES

# Bound by `specialize`; the values here only tell the linter that the names exist.
HARD_RESET = INTEGRATE = DECAY_INPUT = DECAY = STRICT = DETACH_RESET = ADAPTIVE = False
LEAK_PER_NEURON = RHO_PER_NEURON = STATE_PER_NEURON = SAVED = False
LEAK_GRADIENT = RHO_GRADIENT = False
MAX_SPIKES = 1
real = derivative = load = store = None

ROW = 2**12  # bytes of a step that a thread takes at least: less than a page is not fetched ahead
GRAIN = 2**20  # neuron-steps, below 1 ms: for less, a second thread costs more than it brings


# --- templates ---


def charge(x, v, leak, v_rest):
    """Return the potential before reset."""
    if INTEGRATE:
        return v + x
    if DECAY_INPUT:
        return v + (x - (v - v_rest)) * leak
    if DECAY:
        return v_rest + (v - v_rest) * leak + x
    return v - (v - v_rest) * leak + x


def fires(h, theta):
    """Tell whether the potential reaches the threshold."""
    return h > theta if STRICT else h >= theta


def count(h, theta):
    """Return the number of spikes: of thresholds that the potential reaches."""
    n = real(1) if fires(h, theta) else real(0)
    for k in range(2, MAX_SPIKES + 1):
        n += real(1) if fires(h, real(k) * theta) else real(0)
    return n


def reset(h, n, threshold, v_rest):
    """Return the potential after `n` spikes and the reset."""
    if HARD_RESET:
        return v_rest if n else h
    return h - (n * threshold if MAX_SPIKES > 1 else threshold) if n else h


def slope(h, theta, alpha):
    """Return what stands for the derivative of the number of spikes."""
    g = derivative(h - theta, h, alpha)
    for k in range(2, MAX_SPIKES + 1):
        g += derivative(h - real(k) * theta, h - real(k - 1) * theta, alpha)
    return g


def to_leak(drive, v, v_rest):
    """Return the derivative of a step's potential by its coefficient."""
    return v - v_rest if DECAY else drive - (v - v_rest)


def _forward(x, leak, rho, v, a, s, saved, threshold, beta, v_rest, start, stop):
    """Write spikes `s`, and advance the states `v` and `a` in place, for neurons start..stop."""
    block = 32768
    for first in range(start, stop, block):
        last = min(first + block, stop)
        v_b = v[first:last]
        a_b = a[first:last]
        for t in range(x.shape[0]):
            x_t = x[t, first:last]
            s_t = s[t, first:last]
            if SAVED:
                h_t = saved[t, first:last]
            for j in range(last - first):
                k = leak[first + j] if LEAK_PER_NEURON else leak[0]
                h = charge(load(x_t[j]), v_b[j], k, v_rest)
                n = count(h, threshold + beta * a_b[j] if ADAPTIVE else threshold)
                s_t[j] = store(n)
                v_b[j] = reset(h, n, threshold, v_rest)
                if ADAPTIVE:
                    r = rho[first + j] if RHO_PER_NEURON else rho[0]
                    a_b[j] = r * a_b[j] + n
                if SAVED:
                    h_t[j] = h


def _recompute(x, leak, rho, v0, a0, h, v, a, threshold, beta, v_rest, first, n):
    """Fill the potentials `h` (T, n), and what adapts the threshold, `a` (T, n), of a block."""
    for j in range(n):
        v[j] = v0[first + j] if STATE_PER_NEURON else v0[0]
    for t in range(x.shape[0]):
        x_t = x[t, first : first + n]
        h_t = h[t]
        if ADAPTIVE:
            a_t = a[t]
            if t == 0:
                for j in range(n):
                    a_t[j] = a0[first + j]
            else:
                h_before = h[t - 1]
                a_before = a[t - 1]
                for j in range(n):
                    r = rho[first + j] if RHO_PER_NEURON else rho[0]
                    spikes = count(h_before[j], threshold + beta * a_before[j])
                    a_t[j] = r * a_before[j] + spikes
        for j in range(n):
            k = leak[first + j] if LEAK_PER_NEURON else leak[0]
            h_t[j] = charge(load(x_t[j]), v[j], k, v_rest)
            spikes = count(h_t[j], threshold + beta * a_t[j] if ADAPTIVE else threshold)
            v[j] = reset(h_t[j], spikes, threshold, v_rest)


def _backward(
    x,
    leak,
    rho,
    v0,
    a0,
    saved,
    ds,
    dv,
    da,
    dx,
    dleak,
    drho,
    threshold,
    beta,
    v_rest,
    alpha,
    start,
    stop,
):
    """Write `dx` (`dleak`, `drho`), and take `dv` and `da` from the last state to the first."""
    n_steps = dx.shape[0]
    block = max(16, min(8192, 131072 // n_steps))
    h = np.empty((1 if SAVED else n_steps, block), saved.dtype)
    a = np.empty((n_steps if ADAPTIVE else 1, block), saved.dtype)
    v = np.empty(block, saved.dtype)
    for first in range(start, stop, block):
        n = min(block, stop - first)
        if not SAVED:
            _recompute(x, leak, rho, v0, a0, h, v, a, threshold, beta, v_rest, first, n)
        dv_b = dv[first : first + n]
        da_b = da[first : first + n]
        for t in range(n_steps - 1, -1, -1):
            x_t = x[t, first : first + n]
            ds_t = ds[t, first : first + n]
            dx_t = dx[t, first : first + n]
            h_t = saved[t, first : first + n] if SAVED else h[t]
            h_before = saved[t - 1, first : first + n] if SAVED else h[t - 1]
            a_t = a[t] if ADAPTIVE else a[0]
            a_before = a[t - 1] if ADAPTIVE else a[0]
            for j in range(n):
                theta = threshold + beta * a_t[j] if ADAPTIVE else threshold
                fired = fires(h_t[j], theta)
                # to the spikes: from the output, the adaptation and, unless detached, the reset
                to_spikes = load(ds_t[j])
                if ADAPTIVE:
                    to_spikes += da_b[j]
                if not DETACH_RESET and not HARD_RESET:
                    to_spikes += dv_b[j] * -threshold
                du = to_spikes * slope(h_t[j], theta, alpha)
                if not DETACH_RESET and HARD_RESET:  # by the first spike alone
                    to_first = dv_b[j] * (v_rest - h_t[j])
                    du += to_first * derivative(h_t[j] - theta, h_t[j], alpha)
                dh = du + (real(0) if HARD_RESET and fired else dv_b[j])
                k = leak[first + j] if LEAK_PER_NEURON else leak[0]
                dx_t[j] = store(dh * k if DECAY_INPUT else dh)
                if INTEGRATE:
                    dv_b[j] = dh
                elif DECAY:
                    dv_b[j] = dh * k
                else:
                    dv_b[j] = dh * (real(1) - k)
                if ADAPTIVE:
                    r = rho[first + j] if RHO_PER_NEURON else rho[0]
                    if RHO_GRADIENT:
                        drho[first + j] += da_b[j] * a_t[j]
                    da_b[j] = r * da_b[j] - beta * du
                if LEAK_GRADIENT:
                    if t > 0:
                        theta = threshold + beta * a_before[j] if ADAPTIVE else threshold
                        v_before = reset(h_before[j], count(h_before[j], theta), threshold, v_rest)
                    else:
                        v_before = v0[first + j] if STATE_PER_NEURON else v0[0]
                    drive = load(x_t[j]) if DECAY_INPUT else real(0)
                    dleak[first + j] += dh * to_leak(drive, v_before, v_rest)


def _backward_by_step(x, leak, v0, saved, ds, dx, dleak, threshold, v_rest, alpha, start, stop):
    """Write `dx` (`dleak`) where no gradient passes from step to step: one pass, forward in time.

    A potential is used where it is found, and none is kept.
    """
    block = min(8192, stop - start)
    v = np.empty(block, saved.dtype)
    for first in range(start, stop, block):
        n = min(block, stop - first)
        for j in range(n):
            v[j] = v0[first + j] if STATE_PER_NEURON else v0[0]
        for t in range(x.shape[0]):
            x_t = x[t, first : first + n]
            ds_t = ds[t, first : first + n]
            dx_t = dx[t, first : first + n]
            if SAVED:
                h_t = saved[t, first : first + n]
            for j in range(n):
                k = leak[first + j] if LEAK_PER_NEURON else leak[0]
                h = h_t[j] if SAVED else charge(load(x_t[j]), v[j], k, v_rest)
                dh = load(ds_t[j]) * slope(h, threshold, alpha)
                dx_t[j] = store(dh * k if DECAY_INPUT else dh)
                if LEAK_GRADIENT:
                    drive = load(x_t[j]) if DECAY_INPUT else real(0)
                    dleak[first + j] += dh * to_leak(drive, v[j], v_rest)
                if LEAK_GRADIENT or not SAVED:
                    v[j] = reset(h, count(h, threshold), threshold, v_rest)


# --- launchers ---


def where(condition, a, b):
    """Choose between two numbers."""
    return a if condition else b


def forward(
    x: Tensor,
    v: Tensor | None,
    leak: Tensor,
    a: Tensor | None,
    rho: Tensor | None,
    spec: NeuronSpec,
    save: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the spikes, the states `v` and `a` after the last step, and what `save` asks for."""
    x = dense_over_time(x)
    s = empty_dense(x)
    v_last = step_buffer(x, spec.v_rest if v is None else v)
    a_last = step_buffer(x, 0.0 if a is None else a) if spec.adaptive else v_last.new_empty(0)
    saved = v_last.new_empty(0)
    if save == "potential":
        saved = empty_dense(x, v_last.dtype)
    leak, rho = _per_neuron(leak, x), _per_neuron(v_last.new_zeros(1) if rho is None else rho, x)
    kernel = _kernel(
        _forward,
        x.dtype,
        spec,
        LEAK_PER_NEURON=leak.numel() > 1,
        RHO_PER_NEURON=rho.numel() > 1,
        SAVED=save == "potential",
    )
    arrays = row(leak), row(rho), row(v_last), row(a_last), rows(s)
    saved_rows = rows(saved if saved.numel() else saved[None])
    _run(kernel, rows(x), *arrays, saved_rows, *_scalars(v_last, spec, with_alpha=False))
    return s, v_last, a_last, saved


def backward(
    x: Tensor,
    v: Tensor | None,
    leak: Tensor,
    a: Tensor | None,
    rho: Tensor | None,
    saved: Tensor,
    ds: Tensor | None,
    dv: Tensor | None,
    da: Tensor | None,
    spec: NeuronSpec,
    learn_leak: bool,
    learn_rho: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the gradients to `x`, `v`, `leak`, `a` and `rho`; empty where none is asked for."""
    x = dense_over_time(x)
    dx = empty_dense(x)
    dv = step_buffer(x, 0.0 if dv is None or not spec.through_time else dv)
    zero = dv.new_zeros(1)
    da = step_buffer(x, 0.0 if da is None else da) if spec.adaptive else dv.new_empty(0)
    a0 = step_buffer(x, 0.0 if a is None else a) if spec.adaptive else zero
    ds = torch.zeros_like(x) if ds is None else like_layout(ds, x)
    v0 = dv.new_full((1,), spec.v_rest) if v is None else like_layout(v, dv)
    leak_n, rho_n = _per_neuron(leak, x), _per_neuron(zero if rho is None else rho, x)
    dleak = torch.zeros_like(dv) if learn_leak else dv.new_empty(0)
    drho = torch.zeros_like(dv) if learn_rho else dv.new_empty(0)
    kernel = _kernel(
        _backward if spec.through_time else _backward_by_step,
        x.dtype,
        spec,
        LEAK_PER_NEURON=leak_n.numel() > 1,
        RHO_PER_NEURON=rho_n.numel() > 1,
        STATE_PER_NEURON=v is not None,
        SAVED=saved.numel() > 0,
        LEAK_GRADIENT=learn_leak,
        RHO_GRADIENT=learn_rho,
    )
    saved_rows = rows(saved if saved.numel() else saved[None])
    threshold, beta, v_rest, alpha = _scalars(dv, spec, with_alpha=True)
    if spec.through_time:
        states = row(leak_n), row(rho_n), row(v0), row(a0), saved_rows
        gradients = rows(ds), row(dv), row(da), rows(dx), row(dleak), row(drho)
        _run(kernel, rows(x), *states, *gradients, threshold, beta, v_rest, alpha)
    else:
        arrays = row(leak_n), row(v0), saved_rows, rows(ds), rows(dx), row(dleak)
        _run(kernel, rows(x), *arrays, threshold, v_rest, alpha)
    return dx, dv, _reduced(dleak, leak), da, _reduced(drho, rho)


def _per_neuron(value: Tensor, x: Tensor) -> Tensor:
    """Return a coefficient as one element, or laid out in memory as a step of `x` is."""
    return value if value.numel() == 1 else like_layout(value, x[0])


def _reduced(gradient: Tensor, value: Tensor | None) -> Tensor:
    """Sum the gradient of a coefficient that all neurons share."""
    if value is None or value.numel() != 1 or gradient.numel() == 0:
        return gradient
    # by numpy: torch would add in another order with another number of threads
    return gradient.new_tensor(row(gradient).sum()).reshape(value.shape)


@functools.lru_cache(maxsize=1024)
def _kernel(
    template: Callable, dtype: torch.dtype, spec: NeuronSpec, **constants: bool
) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    return specialize(template, **neuron_constants(dtype, spec), **constants)


def neuron_constants(dtype: torch.dtype, spec: NeuronSpec) -> dict:
    """Return the functions and constants that a template with a neuron in it is bound to."""
    return float_constants(dtype) | {
        "exp": math.exp,
        "tanh": math.tanh,
        "absolute": abs,
        "where": where,
        "charge": charge,
        "fires": fires,
        "count": count,
        "slope": slope,
        "reset": reset,
        "to_leak": to_leak,
        "_recompute": _recompute,
        "derivative": SURROGATES[spec.surrogate].derivative,
        "HARD_RESET": spec.v_reset is not None,
        "INTEGRATE": spec.charge == "integrate",
        "DECAY_INPUT": spec.charge == "decay_input",
        "DECAY": spec.charge == "decay",
        "STRICT": spec.strict,
        "DETACH_RESET": spec.detach_reset,
        "ADAPTIVE": spec.adaptive,
        "MAX_SPIKES": spec.max_spikes,
    }


def float_constants(dtype: torch.dtype) -> dict:
    """Return what a template computes in, and how it reads and writes numbers of a dtype."""
    compact = dtype == torch.bfloat16
    return {
        "real": numpy_dtype(compute_dtype(dtype)).type,
        "load": load_bfloat16 if compact else same,
        "store": store_bfloat16 if compact else same,
    }


def _scalars(state: Tensor, spec: NeuronSpec, *, with_alpha: bool) -> list[np.floating]:
    """Cast the numbers of a spec to the dtype that the kernel computes in."""
    real = numpy_dtype(state.dtype).type
    values = [spec.threshold, spec.beta, spec.v_rest, *([spec.alpha] if with_alpha else [])]
    return [real(value) for value in values]


def _run(kernel: Callable, x: np.ndarray, *args: object) -> None:
    """Run a kernel over all neurons with as many threads as torch uses.

    They are shared out in whole cache lines.
    """
    n_steps, n_neurons = x.shape
    line = LINE // x.itemsize

    def body(start: int, stop: int) -> None:
        kernel(x, *args, start * line, min(stop * line, n_neurons))

    grain = max(ROW // LINE, GRAIN // (n_steps * line))
    parallel_for(body, -(-n_neurons // line), grain=grain, n_threads=torch.get_num_threads())

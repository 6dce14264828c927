"""The spiking neurons in Triton, for CUDA: forward and backward by hand, fused over time.

Memory is seen as (T, M): M neurons, each independent of the others. A program takes a block of
neurons through all T steps, SEGMENT steps at a time: it reads their rows first, so that many loads
are in flight before the first is needed. To save ``"recompute"``, the forward pass keeps the state
at the start of each segment but the first, from which the backward pass recomputes the potentials
of one segment at a time in registers: 8.5 and 12.5 bytes per neuron-step in float32.

Products and sums are not contracted: a potential must be the reference's to the last bit, or a
spike flips. Sums over neurons go through one number per program, and so do not depend on timing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import _surrogate
from ._lif_op import SEGMENT, saved_steps
from ._memory import compute_dtype, dense_over_time, empty_dense, like_layout
from ._spec import NeuronSpec
from ._surrogate import SURROGATES

# How a launch is cut: bytes of `x` that a thread reads at once, warps of a program, and the number
# of neurons from which on programs of that size fill the device; below, programs have one warp.
VECTOR_BYTES, WARPS, MANY_NEURONS = 16, 4, 2**18


# --- the neuron, in functions that kernels with a neuron in them share ---


@triton.jit
def charge(x, v, leak, v_rest, CHARGE: tl.constexpr):
    """Return the potential before reset."""
    if CHARGE == "integrate":
        h = v + x
    elif CHARGE == "decay_input":
        h = v + (x - (v - v_rest)) * leak
    elif CHARGE == "decay":
        h = v_rest + (v - v_rest) * leak + x
    else:
        h = v - (v - v_rest) * leak + x
    return h


@triton.jit
def fires(h, theta, STRICT: tl.constexpr):
    """Tell whether the potential reaches the threshold."""
    if STRICT:
        fired = h > theta
    else:
        fired = h >= theta
    return fired


@triton.jit
def count(h, theta, STRICT: tl.constexpr, MAX_SPIKES: tl.constexpr):
    """Return the number of spikes: of thresholds that the potential reaches."""
    n = fires(h, theta, STRICT).to(h.dtype)
    for k in tl.static_range(2, MAX_SPIKES + 1):
        n += fires(h, k * theta, STRICT).to(h.dtype)
    return n


@triton.jit
def reset(h, n, threshold, v_rest, HARD_RESET: tl.constexpr):
    """Return the potential after `n` spikes and the reset."""
    if HARD_RESET:
        v = tl.where(n != 0, v_rest, h)
    else:
        v = tl.where(n != 0, h - n * threshold, h)
    return v


@triton.jit
def slope(h, theta, alpha, DERIVATIVE: tl.constexpr, MAX_SPIKES: tl.constexpr):
    """Return what stands for the derivative of the number of spikes."""
    g = DERIVATIVE(h - theta, h, alpha)
    for k in tl.static_range(2, MAX_SPIKES + 1):
        g += DERIVATIVE(h - k * theta, h - (k - 1) * theta, alpha)
    return g


@triton.jit
def through_reset(h, dv, threshold, v_rest, HARD_RESET: tl.constexpr):
    """Return the gradient to the spike of what the reset makes of it."""
    if HARD_RESET:
        ds = dv * (v_rest - h)
    else:
        ds = dv * -threshold
    return ds


@triton.jit
def to_state(dh, leak, CHARGE: tl.constexpr):
    """Return the gradient to the potential before the step."""
    if CHARGE == "integrate":
        dv = dh
    elif CHARGE == "decay":
        dv = dh * leak
    else:
        dv = dh * (1 - leak)
    return dv


@triton.jit
def to_leak(dh, x, v, v_rest, CHARGE: tl.constexpr):
    """Return the gradient to the coefficient of the step."""
    if CHARGE == "decay":
        dleak = dh * (v - v_rest)
    elif CHARGE == "decay_input":
        dleak = dh * (x - (v - v_rest))
    else:
        dleak = dh * (0 - (v - v_rest))
    return dleak


@triton.jit
def both(mask, condition):
    """Return a mask where a condition on scalars holds too, which Triton interprets as integers."""
    return (mask & condition) != 0


# --- the surrogates, bound to Triton ---


@triton.jit
def exp(x):
    """Return e to the x."""
    return tl.exp(x)


@triton.jit
def tanh(x):
    """Return the hyperbolic tangent, by an exponential that cannot overflow."""
    e = tl.exp(-2 * tl.abs(x))
    y = (1 - e) / (1 + e)
    return tl.where(x < 0, -y, y)


@triton.jit
def absolute(x):
    """Return the absolute value."""
    return tl.abs(x)


@triton.jit
def where(condition, a, b):
    """Choose between two numbers."""
    return tl.where(condition, a, b)


@triton.constexpr_function
def real(value):
    """Return a literal; Triton gives it the precision of what it meets."""
    return value


def _bind(function: Callable) -> Callable:
    """Compile a function of `_surrogate` with the names above for those that it uses."""
    names = {"real": real, "exp": exp, "tanh": tanh, "absolute": absolute, "where": where}
    names |= {"HALF_PI": tl.constexpr(_surrogate.HALF_PI), "tl": tl}
    copy = FunctionType(function.__code__, names, function.__name__)
    copy.__module__, copy.__qualname__ = __name__, function.__qualname__
    return triton.jit(copy)


DERIVATIVES = {name: _bind(surrogate.derivative) for name, surrogate in SURROGATES.items()}


# --- kernels ---


@triton.jit(do_not_specialize=["n_steps", "n_saved"])
def _forward(
    x,
    leak,
    rho,
    v0,
    a0,
    s,
    v_last,
    a_last,
    saved,
    threshold: tl.float64,
    beta: tl.float64,
    v_rest: tl.float64,
    n_steps,
    n_neurons,
    n_saved,
    CHARGE: tl.constexpr,
    HARD_RESET: tl.constexpr,
    STRICT: tl.constexpr,
    ADAPTIVE: tl.constexpr,
    MAX_SPIKES: tl.constexpr,
    LEAK_PER_NEURON: tl.constexpr,
    RHO_PER_NEURON: tl.constexpr,
    SAVE: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the spikes `s`, the last states, and what `SAVE` asks for, of a block of neurons."""
    real_t: tl.constexpr = v_last.dtype.element_ty
    threshold = tl.full((), threshold, real_t)
    beta = tl.full((), beta, real_t)
    v_rest = tl.full((), v_rest, real_t)
    start = tl.program_id(0).to(tl.int64) * BLOCK
    j = tl.arange(0, BLOCK)
    mask = j < n_neurons - start

    k = tl.load(leak + start + j, mask, 0) if LEAK_PER_NEURON else tl.load(leak)
    v = tl.full((BLOCK,), 0, real_t) + v_rest
    if v0 is not None:
        v = tl.load(v0 + start + j, mask, 0)
    if ADAPTIVE:
        r = tl.load(rho + start + j, mask, 0) if RHO_PER_NEURON else tl.load(rho)
        a = tl.full((BLOCK,), 0, real_t)
        if a0 is not None:
            a = tl.load(a0 + start + j, mask, 0)

    for segment in range((n_steps + STEPS - 1) // STEPS):
        first = tl.cast(segment * STEPS, tl.int64)
        if SAVE == "recompute":
            keep = both(mask, first > 0)
            row = start + tl.cast(segment - 1, tl.int64) * n_neurons
            tl.store(saved + row + j, v, keep)
            if ADAPTIVE:
                tl.store(saved + row + tl.cast(n_saved, tl.int64) * n_neurons + j, a, keep)
        top = start + first * n_neurons
        xs = ()
        for i in tl.static_range(STEPS):
            row = top + i * tl.cast(n_neurons, tl.int64)
            xs = xs + (tl.load(x + row + j, both(mask, first + i < n_steps), 0),)
        for i in tl.static_range(STEPS):
            row = top + i * tl.cast(n_neurons, tl.int64)
            inside = first + i < n_steps
            h = charge(xs[i].to(real_t), v, k, v_rest, CHARGE)
            theta = threshold + beta * a if ADAPTIVE else threshold
            n = count(h, theta, STRICT, MAX_SPIKES)
            tl.store(s + row + j, n.to(s.dtype.element_ty), both(mask, inside))
            if SAVE == "potential":
                tl.store(saved + row + j, h, both(mask, inside))
            v = tl.where(inside, reset(h, n, threshold, v_rest, HARD_RESET), v)
            if ADAPTIVE:
                a = tl.where(inside, r * a + n, a)
    tl.store(v_last + start + j, v, mask)
    if ADAPTIVE:
        tl.store(a_last + start + j, a, mask)


@triton.jit(do_not_specialize=["n_steps", "n_saved"])
def _backward(
    x,
    leak,
    rho,
    v0,
    a0,
    saved,
    ds,
    dv_last,
    da_last,
    dx,
    dv_first,
    da_first,
    dleak,
    drho,
    threshold: tl.float64,
    beta: tl.float64,
    v_rest: tl.float64,
    alpha: tl.float64,
    n_steps,
    n_neurons,
    n_saved,
    CHARGE: tl.constexpr,
    HARD_RESET: tl.constexpr,
    STRICT: tl.constexpr,
    DETACH_RESET: tl.constexpr,
    THROUGH_TIME: tl.constexpr,
    ADAPTIVE: tl.constexpr,
    MAX_SPIKES: tl.constexpr,
    LEAK_PER_NEURON: tl.constexpr,
    RHO_PER_NEURON: tl.constexpr,
    POTENTIALS: tl.constexpr,
    DERIVATIVE: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the gradients to `x`, the first states and the coefficients of a block of neurons."""
    real_t: tl.constexpr = dv_first.dtype.element_ty
    threshold = tl.full((), threshold, real_t)
    beta = tl.full((), beta, real_t)
    v_rest = tl.full((), v_rest, real_t)
    alpha = tl.full((), alpha, real_t)
    start = tl.program_id(0).to(tl.int64) * BLOCK
    j = tl.arange(0, BLOCK)
    mask = j < n_neurons - start
    stride = tl.cast(n_neurons, tl.int64)
    zero = tl.full((BLOCK,), 0, real_t)

    k = tl.load(leak + start + j, mask, 0) if LEAK_PER_NEURON else tl.load(leak)
    dv = zero
    if dv_last is not None:
        dv = tl.load(dv_last + start + j, mask, 0)
    if dleak is not None:
        sum_leak = zero
    if ADAPTIVE:
        r = tl.load(rho + start + j, mask, 0) if RHO_PER_NEURON else tl.load(rho)
        da = zero
        if da_last is not None:
            da = tl.load(da_last + start + j, mask, 0)
        if drho is not None:
            sum_rho = zero

    n_segments = (n_steps + STEPS - 1) // STEPS
    for back in range(n_segments):
        segment = tl.cast(n_segments - 1 - back, tl.int64)
        first = segment * STEPS
        top = start + first * stride
        # every load of the segment comes before its arithmetic
        xs = ()
        dss = ()
        hs = ()
        thetas = ()
        adaptations = ()
        for i in tl.static_range(STEPS):
            load = both(mask, first + i < n_steps)
            if POTENTIALS:
                hs = hs + (tl.load(saved + top + i * stride + j, load, 0),)
            if not POTENTIALS or (dleak is not None and CHARGE == "decay_input"):
                xs = xs + (tl.load(x + top + i * stride + j, load, 0),)
        for i in tl.static_range(STEPS):
            load = both(mask, first + i < n_steps)
            dss = dss + (tl.load(ds + top + i * stride + j, load, 0),)

        # the state before the segment
        v = zero + v_rest
        if v0 is not None:
            v = tl.load(v0 + start + j, both(mask, segment == 0), 0)
        before = start + (segment - 1) * stride
        if POTENTIALS:
            if dleak is not None:
                h = tl.load(saved + top - stride + j, both(mask, segment > 0), 0)
                n = count(h, threshold, STRICT, MAX_SPIKES)
                v = tl.where(segment > 0, reset(h, n, threshold, v_rest, HARD_RESET), v)
        else:
            kept = tl.load(saved + before + j, both(mask, segment > 0), 0)
            v = tl.where(segment > 0, kept, v)
        v_before = v
        if ADAPTIVE:
            a = zero
            if a0 is not None:
                a = tl.load(a0 + start + j, both(mask, segment == 0), 0)
            before += tl.cast(n_saved, tl.int64) * stride
            kept = tl.load(saved + before + j, both(mask, segment > 0), 0)
            a = tl.where(segment > 0, kept, a)

        # its potentials; those after the last step are never used
        for i in tl.static_range(STEPS):
            theta = threshold + beta * a if ADAPTIVE else threshold
            if not POTENTIALS:
                h = charge(xs[i].to(real_t), v, k, v_rest, CHARGE)
                hs = hs + (h,)
                n = count(h, theta, STRICT, MAX_SPIKES)
                v = reset(h, n, threshold, v_rest, HARD_RESET)
            thetas = thetas + (theta,)
            if ADAPTIVE:
                adaptations = adaptations + (a,)
                a = r * a + n

        for i in tl.static_range(STEPS - 1, -1, -1):
            inside = first + i < n_steps
            h = hs[i]
            fired = fires(h, thetas[i], STRICT)
            # to the spikes: from the output, the adaptation and, unless detached, the reset
            to_spikes = dss[i].to(real_t)
            if ADAPTIVE:
                to_spikes += da
            if not DETACH_RESET and not HARD_RESET:
                to_spikes += through_reset(h, dv, threshold, v_rest, HARD_RESET)
            du = to_spikes * slope(h, thetas[i], alpha, DERIVATIVE, MAX_SPIKES)
            if not DETACH_RESET and HARD_RESET:  # by the first spike alone
                to_first = through_reset(h, dv, threshold, v_rest, HARD_RESET)
                du += to_first * DERIVATIVE(h - thetas[i], h, alpha)
            dh = du + (tl.where(fired, 0, dv) if HARD_RESET else dv)
            to_input = dh * k if CHARGE == "decay_input" else dh
            to_input = to_input.to(dx.dtype.element_ty)
            tl.store(dx + top + i * stride + j, to_input, both(mask, inside))
            if dleak is not None:
                v = v_before
                if i > 0:
                    n = count(hs[i - 1], thetas[i - 1], STRICT, MAX_SPIKES)
                    v = reset(hs[i - 1], n, threshold, v_rest, HARD_RESET)
                drive = xs[i].to(real_t) if CHARGE == "decay_input" else zero
                sum_leak += tl.where(inside, to_leak(dh, drive, v, v_rest, CHARGE), 0)
            if THROUGH_TIME:
                dv = tl.where(inside, to_state(dh, k, CHARGE), dv)
            if ADAPTIVE:
                if drho is not None:
                    sum_rho += tl.where(inside, da * adaptations[i], 0)
                da = tl.where(inside, r * da - beta * du, da)

    tl.store(dv_first + start + j, dv, mask)
    if ADAPTIVE:
        tl.store(da_first + start + j, da, mask)
    if dleak is not None:
        if LEAK_PER_NEURON:
            tl.store(dleak + start + j, sum_leak, mask)
        else:
            tl.store(dleak + tl.program_id(0), tl.sum(tl.where(mask, sum_leak, 0)))
    if drho is not None:
        if RHO_PER_NEURON:
            tl.store(drho + start + j, sum_rho, mask)
        else:
            tl.store(drho + tl.program_id(0), tl.sum(tl.where(mask, sum_rho, 0)))


# --- launchers ---


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
    v_last = empty_dense(x[0], compute_dtype(x.dtype))
    a_last = empty_dense(v_last) if spec.adaptive else v_last.new_empty(0)
    n_saved = saved_steps(x.shape[0], save, "triton")
    if save == "potential":
        saved = empty_dense(x, v_last.dtype)
    elif n_saved:
        saved = v_last.new_empty(n_saved * (2 if spec.adaptive else 1), v_last.numel())
    else:
        saved = v_last.new_empty(0)
    leak, rho = per_neuron(leak, v_last), per_neuron(rho, v_last)
    block, warps = blocks(v_last.numel(), x.dtype, adaptive=spec.adaptive)
    launch(
        _forward,
        triton.cdiv(v_last.numel(), block),
        x,
        leak,
        rho,
        per_neuron(v, v_last),
        per_neuron(a, v_last),
        s,
        v_last,
        a_last,
        saved,
        spec.threshold,
        spec.beta,
        spec.v_rest,
        x.shape[0],
        v_last.numel(),
        n_saved,
        CHARGE=spec.charge,
        HARD_RESET=spec.v_reset is not None,
        STRICT=spec.strict,
        ADAPTIVE=spec.adaptive,
        MAX_SPIKES=spec.max_spikes,
        LEAK_PER_NEURON=leak.numel() > 1,
        RHO_PER_NEURON=rho is not None and rho.numel() > 1,
        SAVE=save,
        STEPS=SEGMENT,
        BLOCK=block,
        num_warps=warps,
    )
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
    dv_first = empty_dense(x[0], compute_dtype(x.dtype))
    n_neurons = dv_first.numel()
    block, warps = blocks(n_neurons, x.dtype, adaptive=spec.adaptive)
    n_programs = triton.cdiv(n_neurons, block)
    leak, rho = per_neuron(leak, dv_first), per_neuron(rho, dv_first)

    def gradient(value: Tensor | None) -> Tensor:
        """Return a buffer: one number per neuron, or one per program to be summed."""
        shared = value is None or value.numel() == 1
        return dv_first.new_empty(n_programs) if shared else empty_dense(dv_first)

    da_first = empty_dense(dv_first) if spec.adaptive else dv_first.new_empty(0)
    dleak, drho = (
        gradient(value) if learn else None
        for value, learn in ((leak, learn_leak), (rho, learn_rho))
    )
    launch(
        _backward,
        n_programs,
        x,
        leak,
        rho,
        per_neuron(v, dv_first),
        per_neuron(a, dv_first),
        saved,
        torch.zeros_like(x) if ds is None else like_layout(ds, x),
        per_neuron(dv, dv_first) if spec.through_time else None,
        per_neuron(da, dv_first) if spec.adaptive else None,
        dx,
        dv_first,
        da_first,
        dleak,
        drho,
        spec.threshold,
        spec.beta,
        spec.v_rest,
        spec.alpha,
        x.shape[0],
        n_neurons,
        saved_steps(x.shape[0], "recompute", "triton"),
        CHARGE=spec.charge,
        HARD_RESET=spec.v_reset is not None,
        STRICT=spec.strict,
        DETACH_RESET=spec.detach_reset,
        THROUGH_TIME=spec.through_time,
        ADAPTIVE=spec.adaptive,
        MAX_SPIKES=spec.max_spikes,
        LEAK_PER_NEURON=leak.numel() > 1,
        RHO_PER_NEURON=rho is not None and rho.numel() > 1,
        POTENTIALS=saved.shape == x.shape,
        DERIVATIVE=DERIVATIVES[spec.surrogate],
        STEPS=SEGMENT,
        BLOCK=block,
        num_warps=warps,
    )
    return dx, dv_first, _gathered(dleak, leak, dx), da_first, _gathered(drho, rho, dx)


def _gathered(gradient: Tensor | None, value: Tensor | None, like: Tensor) -> Tensor:
    """Sum the gradient of a coefficient that all neurons share over the programs."""
    if gradient is None or value is None:
        return like.new_empty(0, dtype=compute_dtype(like.dtype))
    return gradient.sum().reshape(value.shape) if value.numel() == 1 else gradient


def per_neuron(value: Tensor | None, step: Tensor) -> Tensor | None:
    """Return a tensor as one element, or laid out in memory as the neurons of a step are."""
    return value if value is None or value.numel() == 1 else like_layout(value, step)


def blocks(n_neurons: int, dtype: torch.dtype, *, adaptive: bool = False) -> tuple[int, int]:
    """Return how many neurons a program takes, and how many warps it has."""
    warps = WARPS if n_neurons >= MANY_NEURONS else 1
    per_thread = VECTOR_BYTES // dtype.itemsize
    if adaptive:  # 8 neurons with two states each do not fit into the registers of a thread
        per_thread = min(per_thread, 4)
    return per_thread * 32 * warps, warps


def launch(kernel: Any, n_programs: int, x: Tensor, *args: object, **options: object) -> None:
    """Run a kernel on the device of `x`, on its current stream, if there is anything to do."""
    if n_programs == 0:
        return
    device = torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()
    with device:
        kernel[(n_programs,)](x, *args, **options, enable_fp_fusion=False)

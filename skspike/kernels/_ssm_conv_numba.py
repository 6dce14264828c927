"""Convolutions over time for the CPU: Fourier transforms of our own, on the layout as it is.

The channels of a step lie side by side and fill the lanes of the vector registers, so that nothing
is transposed. Where they are few, several samples that follow each other fill the lanes together.
Two samples share a complex sequence: the kernels are real, and keep its parts apart.

A convolution on a circle of 2 M >= 2 T lags is the sum of two on a circle of M: one of `x` as it
is, for the even frequencies, and one of `x` times ``exp(-i pi t / M)``, for the odd ones. That
spares the half of the input that would be zero, and the half of the result that nobody wants.

Frequencies come out of a transform in another order, and go into the inverse one in that. Each pass
that splits a block into smaller ones goes over all of memory, until the blocks fit into the second
cache; there they are split to the end, multiplied, and put together again.

The names in capitals, `real` and those of `_radix_numba` are compile-time constants.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._buffers import LARGE, aligned
from .._compile_numba import specialize
from .._radix_numba import make_enter, make_filter, make_leave, make_step
from .._threads import parallel_for
from .._tile_numba import make_read, n_lanes
from ._memory import empty_dense, numpy_dtype
from ._ssm_conv_tables import Plan, half_roots, make_plan

# Bound by `specialize`; the values here only tell the linter that the names exist.
LANES, PAIR = 16, 32
real = read = enter = leave = leave_difference = None
apply = apply_both = None
down2 = down4 = down8 = down8_last = up2 = up4 = up8 = up8_last = None

N_LOW = 3  # passes in the second cache: blocks of 512 numbers
AHEAD = 16  # steps that are fetched before they are needed: they lie far apart in memory
N_PARTS = 16  # pieces of work for threads, if there are enough samples
GRAIN = 2**17  # numbers of the input, below 1 ms: for less, a second thread costs too much


# --- templates: transforms ---


def split(z, at, size, radix, table, table_at):
    """Split the transform of a block into `radix` smaller ones."""
    n = size // radix
    step = n * PAIR
    if size == 8:
        down8_last(z, at, step, table, table_at)
    elif radix == 8:
        for j in range(n):
            down8(z, at + j * PAIR, step, table, table_at + j * 14)
    elif radix == 4:
        for j in range(n):
            down4(z, at + j * PAIR, step, table, table_at + j * 6)
    else:
        for j in range(n):
            down2(z, at + j * PAIR, step, table, table_at + j * 2)


def join(z, at, size, radix, table, table_at):
    """Undo :func:`split`, up to the factor `radix`."""
    n = size // radix
    step = n * PAIR
    if size == 8:
        up8_last(z, at, step, table, table_at)
    elif radix == 8:
        for j in range(n):
            up8(z, at + j * PAIR, step, table, table_at + j * 14)
    elif radix == 4:
        for j in range(n):
            up4(z, at + j * PAIR, step, table, table_at + j * 6)
    else:
        for j in range(n):
            up2(z, at + j * PAIR, step, table, table_at + j * 2)


def analyse(z, at, n, plan, first, last):
    """Do passes first..last of the transform of `n` numbers that are blocks of the first one."""
    radices, sizes, table_ats, table = plan
    for i in range(first, last):
        for start in range(0, n, sizes[i]):
            split(z, at + start * PAIR, sizes[i], radices[i], table, table_ats[i])


def synthesise(z, at, n, plan, first, last):
    """Undo :func:`analyse`, up to a factor."""
    radices, sizes, table_ats, table = plan
    for i in range(last - 1, first - 1, -1):
        for start in range(0, n, sizes[i]):
            join(z, at + start * PAIR, sizes[i], radices[i], table, table_ats[i])


# --- templates: convolutions ---


def enter_pair(x, lay, pair, block, edge, z, n, roots):
    """Write a pair of samples and a block of channels of `x` to both halves of `z`."""
    n_steps, n_samples, n_channels = lay
    width = min(LANES, n_channels - block * LANES)
    at = 2 * pair * n_channels + block * LANES
    partner = n_channels if 2 * pair + 1 < n_samples else 0  # 0: a sample without one
    step = n_samples * n_channels
    for i in range(PAIR):
        edge[i] = real(0)
    for t in range(n_steps):
        to = t * PAIR
        if width == LANES:
            enter(x, at, at + partner, z, to, to + n * PAIR, roots, 2 * t, AHEAD * step)
        else:
            for lane in range(width):
                edge[lane] = x[at + lane]
                if partner > 0:
                    edge[LANES + lane] = x[at + partner + lane]
            enter(edge, 0, LANES, z, to, to + n * PAIR, roots, 2 * t, 0)
        at += step
    for half in range(2):
        z[(half * n + n_steps) * PAIR : (half + 1) * n * PAIR] = real(0)


def leave_pair(z, n, roots, edge, y, lay, pair, block):
    """Write a pair of samples and a block of channels of `y`."""
    n_steps, n_samples, n_channels = lay
    width = min(LANES, n_channels - block * LANES)
    at = 2 * pair * n_channels + block * LANES
    partner = n_channels if 2 * pair + 1 < n_samples else 0
    step = n_samples * n_channels
    for t in range(n_steps):
        z_at = t * PAIR
        if width == LANES:
            leave(z, z_at, z_at + n * PAIR, roots, 2 * t, y, at, at + partner, AHEAD * step)
        else:
            leave(z, z_at, z_at + n * PAIR, roots, 2 * t, edge, 0, LANES, 0)
            for lane in range(width):
                y[at + lane] = edge[lane]
                if partner > 0:
                    y[at + partner + lane] = edge[LANES + lane]
        at += step


def _transform_kernel(kernel, behind, spectra, lay, n, roots, plan, z, first, last):
    """Write the spectra of blocks first..last of a kernel, one after the other: both halves.

    `behind` has what the circle holds behind the first n lags, or nothing.
    """
    size = 2 * n * PAIR
    edge = np.empty(PAIR, real)
    for block in range(first, last):
        spectrum = spectra[block * size : (block + 1) * size]
        enter_pair(kernel, lay, 0, block, edge, spectrum, n, roots)
        if len(behind) > 0:
            enter_pair(behind, (n, 1, lay[2]), 0, block, edge, z, n, roots)
            for i in range(size // 2):
                spectrum[i] += z[i]
            for i in range(size // 2, size):
                spectrum[i] -= z[i]
        for half in range(2):
            analyse(spectrum, half * n * PAIR, n, plan, 0, len(plan[0]))


def convolve(z, at, spectra, spectrum_at, n, plan):
    """Multiply one half by a spectrum, there and back."""
    n_passes = len(plan[0])
    n_high = max(0, n_passes - N_LOW)
    size = plan[1][n_high]
    analyse(z, at, n, plan, 0, n_high)
    for start in range(at, at + n * PAIR, size * PAIR):
        analyse(z, start, size, plan, n_high, n_passes - 1)
        for i in range(start, start + size * PAIR, 8 * PAIR):
            apply(z, i, spectra, spectrum_at + i)
        synthesise(z, start, size, plan, n_high, n_passes - 1)
    synthesise(z, at, n, plan, 0, n_high)


def correlate(z, dz, total, at, spectra, spectrum_at, n, plan):
    """Do the same with `dz`, and add its product with the spectrum of `z` to a total."""
    n_passes = len(plan[0])
    n_high = max(0, n_passes - N_LOW)
    size = plan[1][n_high]
    analyse(z, at, n, plan, 0, n_high)
    analyse(dz, at, n, plan, 0, n_high)
    for start in range(at, at + n * PAIR, size * PAIR):
        analyse(z, start, size, plan, n_high, n_passes)
        analyse(dz, start, size, plan, n_high, n_passes - 1)
        for i in range(start, start + size * PAIR, 8 * PAIR):
            apply_both(dz, i, spectra, spectrum_at + i, z, i, total, i)
        synthesise(dz, start, size, plan, n_high, n_passes - 1)
    synthesise(dz, at, n, plan, 0, n_high)


def _convolve(x, y, spectra, lay, n, n_pairs, roots, plan, z, first, last):
    """Write pieces first..last of `y`, each of them a pair of samples and a block of channels."""
    edge = np.empty(PAIR, real)
    for item in range(first, last):
        block, pair = divmod(item, n_pairs)
        enter_pair(x, lay, pair, block, edge, z, n, roots)
        for half in range(2):
            convolve(z, half * n * PAIR, spectra, 2 * block * n * PAIR, n, plan)
        leave_pair(z, n, roots, edge, y, lay, pair, block)


def _correlate(x, dy, dx, dkernel, spectra, lay, sizes, roots, plan, scratch, first, last):
    """Write pieces first..last of both gradients: a block of channels and a part of the samples.

    `dkernel` is (parts, kernels, lags, blocks, lanes).
    """
    n, n_pairs, n_parts, n_kernels, n_blocks = sizes
    z, dz, total = scratch.reshape(3, -1)
    edge = np.empty(PAIR, real)
    for item in range(first, last):
        block, part = divmod(item, n_parts)
        total[:] = real(0)
        for pair in range(n_pairs * part // n_parts, n_pairs * (part + 1) // n_parts):
            enter_pair(x, lay, pair, block, edge, z, n, roots)
            enter_pair(dy, lay, pair, block, edge, dz, n, roots)
            for half in range(2):
                correlate(z, dz, total, half * n * PAIR, spectra, 2 * block * n * PAIR, n, plan)
            leave_pair(dz, n, roots, edge, dx, lay, pair, block)
        for half in range(2):
            synthesise(total, half * n * PAIR, n, plan, 0, len(plan[0]))
        # what the samples of a pair have given is in the real part
        for t in range(n):
            at, turned = t * PAIR, (n + t) * PAIR
            to = ((part * n_kernels * n + t) * n_blocks + block) * LANES
            leave(total, at, turned, roots, 2 * t, dkernel, to, to, 0)
            if n_kernels > 1:
                to += n * n_blocks * LANES
                leave_difference(total, at, turned, roots, 2 * t, dkernel, to, to, 0)


# --- launchers ---


class Work(NamedTuple):
    """The spectra of the kernels, and how the work is laid out."""

    spectra: np.ndarray
    lay: tuple[int, int, int]
    n: int
    n_blocks: int
    n_pairs: int
    roots: np.ndarray
    plan: Plan

    @property
    def width(self) -> int:
        """Numbers of a pair of samples and a block of channels, for both halves."""
        return len(self.spectra) // max(1, self.n_blocks)

    def scratch(self, n: int) -> np.ndarray:
        """Return memory for `n` pieces of work, so much that it comes from where it is kept."""
        kept = LARGE // self.spectra.itemsize
        return aligned(max(n * self.width, kept), self.spectra.dtype)[: n * self.width]


def forward(
    x: Tensor, kernel: Tensor, reverse_kernel: Tensor | None, *, adjoint: bool = False
) -> Tensor:
    """Return the convolution of `x`, (T, N, H), with kernels of at most T lags, or its adjoint."""
    x = x.contiguous()
    y = empty_dense(x)
    work = prepare(x, kernel, reverse_kernel)
    run = _kernel(_convolve, work.spectra.dtype, adjoint)
    arrays = flat(x), flat(y), work.spectra
    sizes = work.lay, work.n, work.n_pairs, work.roots, work.plan

    def body(start: int, stop: int) -> None:
        run(*arrays, *sizes, work.scratch(1), start, stop)

    _run(body, work.n_blocks * work.n_pairs, x)
    return y


def backward(
    x: Tensor,
    kernel: Tensor,
    reverse_kernel: Tensor | None,
    dy: Tensor,
    needs_dx: bool,
    needs_dkernel: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients to `x` and to both kernels; empty where none is needed."""
    none = x.new_empty(0)
    if not needs_dkernel:
        dx = forward(dy, kernel, reverse_kernel, adjoint=True) if needs_dx else none
        return dx, none.clone(), none.clone()
    n_kernels = 1 if reverse_kernel is None else 2
    dx, total = _both_gradients(x.contiguous(), kernel, reverse_kernel, dy.contiguous(), n_kernels)
    n = total.shape[1]
    dkernel, dreverse = total[0, : len(kernel)] / (2 * n), none
    if reverse_kernel is not None:
        dreverse = total[1, n - len(reverse_kernel) :].flip(0) / (2 * n)
    return dx if needs_dx else none.clone(), dkernel, dreverse


def _both_gradients(
    x: Tensor, kernel: Tensor, reverse_kernel: Tensor | None, dy: Tensor, n_kernels: int
) -> tuple[Tensor, Tensor]:
    """Return the gradients to `x`, and, times 2 n, to what the circle holds, (kernels, n, H)."""
    dx = empty_dense(x)
    work = prepare(x, kernel, reverse_kernel)
    n_parts = _n_parts(work.n_pairs, work.n_blocks)
    real = work.spectra.dtype
    # what comes from each part of the samples
    shape = n_parts, n_kernels, work.n, work.n_blocks * n_lanes(real)
    parts = aligned(math.prod(shape), real)
    run = _kernel(_correlate, real, adjoint=True)
    sizes = work.n, work.n_pairs, n_parts, n_kernels, work.n_blocks
    arrays = flat(x), flat(dy), flat(dx), parts, work.spectra, work.lay, sizes

    def body(start: int, stop: int) -> None:
        run(*arrays, work.roots, work.plan, work.scratch(3), start, stop)

    _run(body, work.n_blocks * n_parts, x)
    total = torch.from_numpy(parts.reshape(shape).sum(0)[..., : work.lay[2]])
    return dx, total.unflatten(2, (-1, x.shape[2])).sum(2)


def _n_parts(n_pairs: int, n_blocks: int) -> int:
    """Return into how many parts to split pairs of samples.

    Each takes a transform of its own beside the three of a pair: two pairs share it, unless there
    are few.
    """
    return max(1, min(n_pairs, max(4, n_pairs // 2), N_PARTS // n_blocks))


def prepare(x: Tensor, kernel: Tensor, reverse_kernel: Tensor | None) -> Work:
    """Lay out the work, and compute the spectra of the kernels."""
    real = numpy_dtype(x.dtype)
    n_steps, n_samples, n_channels = x.shape
    n, lanes = max(8, 1 << (n_steps - 1).bit_length()), n_lanes(real)
    n_together = _together(n_samples, n_channels, lanes)
    n_samples, n_channels = n_samples // n_together, n_channels * n_together
    n_blocks = -(-n_channels // lanes)
    spectra = aligned(n_blocks * 2 * n * 2 * lanes, real)
    layout = (n_steps, n_samples, n_channels), n, n_blocks, -(-n_samples // 2)
    work = Work(spectra, *layout, half_roots(n, real), make_plan(n, real))
    # by numpy: torch's threads go on waiting for a while, on the processors that ours would need
    ahead = np.tile(kernel.numpy(), n_together) / real.type(2 * n)
    behind = np.zeros((0, n_channels), real)
    if reverse_kernel is not None:
        behind = np.zeros((n, n_channels), real)
        reverse = np.tile(reverse_kernel.numpy(), n_together) / real.type(2 * n)
        behind[n - len(reverse) :] = reverse[::-1]
    kernels = ahead.ravel(), behind.ravel()
    run = _kernel(_transform_kernel, real)
    sizes = (len(kernel), 1, n_channels), n, work.roots, work.plan

    def body(start: int, stop: int) -> None:
        run(*kernels, spectra, *sizes, work.scratch(1 if len(behind) else 0), start, stop)

    _run(body, n_blocks, kernel)
    return work


def _together(n_samples: int, n_channels: int, lanes: int) -> int:
    """Return how many samples fill the lanes together: so many that their channels fit."""
    room = lanes // n_channels
    return max((n for n in range(1, room + 1) if n_samples % n == 0), default=1)


def flat(x: Tensor) -> np.ndarray:
    """View a contiguous tensor as a flat array."""
    return x.detach().view(-1).numpy()


def _run(body: Callable[[int, int], None], n: int, x: Tensor) -> None:
    """Run `n` pieces of work on `x` with as many threads as torch uses."""
    grain = max(1, GRAIN * n // max(1, x.numel()))
    parallel_for(body, n, grain=grain, n_threads=torch.get_num_threads())


@functools.lru_cache(maxsize=64)
def _kernel(template: Callable, dtype: np.dtype, adjoint: bool = False) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    return specialize(
        template,
        real=dtype.type,
        LANES=n_lanes(dtype),
        PAIR=2 * n_lanes(dtype),
        N_LOW=N_LOW,
        AHEAD=AHEAD,
        read=make_read(dtype),
        enter=make_enter(dtype),
        leave=make_leave(dtype),
        leave_difference=make_leave(dtype, subtract=True),
        apply=make_filter(dtype, adjoint=adjoint),
        apply_both=make_filter(dtype, adjoint=adjoint, correlate=True),
        down8_last=make_step(dtype, 8, turned=False),
        up8_last=make_step(dtype, 8, inverse=True, turned=False),
        **{f"down{radix}": make_step(dtype, radix) for radix in (2, 4, 8)},
        **{f"up{radix}": make_step(dtype, radix, inverse=True) for radix in (2, 4, 8)},
        **{f.__name__: f for f in (split, join, analyse, synthesise)},
        **{f.__name__: f for f in (convolve, correlate, enter_pair, leave_pair)},
    )

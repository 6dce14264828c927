"""Convolutions over time for the CPU: Fourier transforms of our own, on the layout as it is.

The channels of a step lie side by side and fill the lanes of the vector registers, so that nothing
is transposed. Two samples share a complex sequence: the kernels are real, and keep its parts apart.

A convolution on a circle of 2 M >= 2 T lags is the sum of two on a circle of M: one of `x` as it
is, for the even frequencies, and one of `x` times ``exp(-i pi t / M)``, for the odd ones. That
spares the half of the input that would be zero, and the half of the result that nobody wants.

Frequencies come out of a transform in another order, and go into the inverse one in that. Each pass
that splits a block into smaller ones goes over all of memory, until the blocks fit into the first
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

from .._compile_numba import specialize
from .._radix_numba import make_enter, make_leave, make_product, make_step
from .._threads import parallel_for
from .._tile_numba import make_read, n_lanes
from ._memory import empty_dense, numpy_dtype
from ._ssm_conv_reference import circular_kernel

# Bound by `specialize`; the values here only tell the linter that the names exist.
LANES, PAIR = 16, 32
real = read = enter = leave = leave_difference = None
multiply = multiply_conjugate = add_correlation = None
down2 = down4 = down8 = down8_last = up2 = up4 = up8 = up8_last = None

N_LOW = 2  # passes in the first cache: blocks of 64 numbers
N_PARTS = 16  # the least number of pieces of work for threads, if there are enough samples
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
    paired = 2 * pair + 1 < n_samples
    at = 2 * pair * n_channels + block * LANES
    for i in range(PAIR):
        edge[i] = real(0)
    for t in range(n_steps):
        to = t * PAIR
        if paired and width == LANES:
            enter(x, at, at + n_channels, z, to, to + n * PAIR, roots, 2 * t)
        else:
            if width == LANES:
                read(x, at, edge, 0)
            else:
                for lane in range(width):
                    edge[lane] = x[at + lane]
                    if paired:
                        edge[LANES + lane] = x[at + n_channels + lane]
            enter(edge, 0, LANES, z, to, to + n * PAIR, roots, 2 * t)
        at += n_samples * n_channels
    for half in range(2):
        z[(half * n + n_steps) * PAIR : (half + 1) * n * PAIR] = real(0)


def leave_pair(z, n, roots, edge, y, lay, pair, block):
    """Write a pair of samples and a block of channels of `y`."""
    n_steps, n_samples, n_channels = lay
    width = min(LANES, n_channels - block * LANES)
    paired = 2 * pair + 1 < n_samples
    at = 2 * pair * n_channels + block * LANES
    for t in range(n_steps):
        z_at = t * PAIR
        if paired and width == LANES:
            leave(z, z_at, z_at + n * PAIR, roots, 2 * t, y, at, at + n_channels)
        else:
            leave(z, z_at, z_at + n * PAIR, roots, 2 * t, edge, 0, LANES)
            for lane in range(width):
                y[at + lane] = edge[lane]
                if paired:
                    y[at + n_channels + lane] = edge[LANES + lane]
        at += n_samples * n_channels


def _transform_kernel(kernel, spectra, n, n_channels, roots, plan, first, last):
    """Write the spectra of blocks first..last of kernels, (2, M, H): one for either half."""
    z = np.empty(2 * n * PAIR, spectra.dtype)
    edge = np.empty(PAIR, spectra.dtype)
    for block in range(first, last):
        for half in range(2):
            enter_pair(kernel[half], (n, 1, n_channels), 0, block, edge, z, n, roots)
            at = half * n * PAIR
            analyse(z, at, n, plan, 0, len(plan[0]))
            spectra[block, half] = z[at : at + n * PAIR]


def _convolve(x, y, spectra, lay, n, n_pairs, n_low, roots, plan, first, last):
    """Write pieces first..last of `y`, each of them a pair of samples and a block of channels."""
    z = np.empty(2 * n * PAIR, x.dtype)
    edge = np.empty(PAIR, x.dtype)
    n_passes = len(plan[0])
    n_high = max(0, n_passes - n_low)
    size = plan[1][n_high] if n_passes else n
    for item in range(first, last):
        block, pair = divmod(item, n_pairs)
        enter_pair(x, lay, pair, block, edge, z, n, roots)
        for half in range(2):
            spectrum = spectra[block, half]
            at = half * n * PAIR
            analyse(z, at, n, plan, 0, n_high)
            for start in range(0, n * PAIR, size * PAIR):
                analyse(z, at + start, size, plan, n_high, n_passes)
                for i in range(start, start + size * PAIR, PAIR):
                    multiply(spectrum, i, z, at + i, z, at + i)
                synthesise(z, at + start, size, plan, n_high, n_passes)
            synthesise(z, at, n, plan, 0, n_high)
        leave_pair(z, n, roots, edge, y, lay, pair, block)


def _backward(
    x, dy, dx, dkernel, spectra, lay, n, n_pairs, n_parts, n_low, needs, roots, plan, first, last
):
    """Write pieces first..last, of a block of channels and a part of the samples."""
    needs_dx, needs_dkernel = needs
    z = np.empty(2 * n * PAIR, x.dtype)
    dz = np.empty(2 * n * PAIR, x.dtype)
    total = np.empty(2 * n * PAIR, x.dtype)
    edge = np.empty(PAIR, x.dtype)
    n_passes = len(plan[0])
    n_high = max(0, n_passes - n_low)
    size = plan[1][n_high] if n_passes else n
    for item in range(first, last):
        block, part = divmod(item, n_parts)
        total[:] = real(0)
        for pair in range(n_pairs * part // n_parts, n_pairs * (part + 1) // n_parts):
            enter_pair(dy, lay, pair, block, edge, dz, n, roots)
            if needs_dkernel:
                enter_pair(x, lay, pair, block, edge, z, n, roots)
            for half in range(2):
                spectrum = spectra[block, half]
                at = half * n * PAIR
                analyse(dz, at, n, plan, 0, n_high)
                if needs_dkernel:
                    analyse(z, at, n, plan, 0, n_high)
                for start in range(0, n * PAIR, size * PAIR):
                    analyse(dz, at + start, size, plan, n_high, n_passes)
                    if needs_dkernel:
                        analyse(z, at + start, size, plan, n_high, n_passes)
                        for i in range(at + start, at + start + size * PAIR, PAIR):
                            add_correlation(z, i, dz, i, total, i)
                    if needs_dx:
                        for i in range(start, start + size * PAIR, PAIR):
                            multiply_conjugate(spectrum, i, dz, at + i, dz, at + i)
                        synthesise(dz, at + start, size, plan, n_high, n_passes)
                if needs_dx:
                    synthesise(dz, at, n, plan, 0, n_high)
            if needs_dx:
                leave_pair(dz, n, roots, edge, dx, lay, pair, block)
        if needs_dkernel:
            for half in range(2):
                synthesise(total, half * n * PAIR, n, plan, 0, n_passes)
            # what the samples of a pair have given is in the real part
            for t in range(n):
                at = block * LANES
                turned = (n + t) * PAIR
                leave(total, t * PAIR, turned, roots, 2 * t, edge, 0, LANES)
                read(edge, 0, dkernel[part, 0, t], at)
                leave_difference(total, t * PAIR, turned, roots, 2 * t, edge, 0, LANES)
                read(edge, 0, dkernel[part, 1, t], at)


# --- tables ---


class Plan(NamedTuple):
    """How a transform is split: the radix of each pass, and the size of the blocks it splits.

    `starts` says where the roots of a pass begin in `table`.
    """

    radices: np.ndarray
    sizes: np.ndarray
    starts: np.ndarray
    table: np.ndarray


@functools.lru_cache(maxsize=64)
def make_plan(n: int, real: np.dtype) -> Plan:
    """Return the plan for `n` numbers, a power of two."""
    exponent = n.bit_length() - 1
    radices = [2 ** (exponent % 3)] * (exponent % 3 > 0) + [8] * (exponent // 3)
    sizes = [n // math.prod(radices[:i]) for i in range(len(radices))]
    tables = [
        _roots(size, np.outer(np.arange(size // radix), np.arange(1, radix)), real)
        for size, radix in zip(sizes, radices, strict=True)
    ]
    starts = np.cumsum([0, *map(len, tables)])[:-1]
    index = [np.array(a, np.intp) for a in (radices, sizes, starts)]
    return Plan(index[0], index[1], index[2], np.concatenate([*tables, np.zeros(0, real)]))


@functools.lru_cache(maxsize=64)
def half_roots(n: int, real: np.dtype) -> np.ndarray:
    """Return exp(-i pi t / n) for all t < n, as pairs of numbers."""
    return _roots(2 * n, np.arange(n), real)


def _roots(n: int, powers: np.ndarray, real: np.dtype) -> np.ndarray:
    """Return powers of exp(-2 pi i / n), rounded once, as a flat array of pairs of numbers."""
    angles = -2 * math.pi * (powers.ravel() % n) / n
    return np.stack([np.cos(angles), np.sin(angles)], 1).astype(real).ravel()


# --- launchers ---


def forward(x: Tensor, kernel: Tensor, reverse_kernel: Tensor | None) -> Tensor:
    """Return the convolution of `x`, (T, N, H), with kernels of at most T lags."""
    x = x.contiguous()
    y = empty_dense(x)
    spectra, *layout = _prepare(x, kernel, reverse_kernel)
    lay, n, n_pairs, roots, plan = layout
    run = _kernel(_convolve, plan.table.dtype)

    def body(start: int, stop: int) -> None:
        args = flat(x), flat(y), spectra, lay, n, n_pairs, N_LOW, roots, plan
        run(*args, start, stop)

    _run(body, len(spectra) * n_pairs, x)
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
    x, dy = x.contiguous(), dy.contiguous()
    none = x.new_empty(0)
    dx = empty_dense(x) if needs_dx else none
    spectra, *layout = _prepare(x, kernel, reverse_kernel)
    lay, n, n_pairs, roots, plan = layout
    n_parts = max(1, min(n_pairs, N_PARTS // max(1, len(spectra))))
    # what of the gradient to the kernel comes from each part of the samples
    width = len(spectra) * n_lanes(plan.table.dtype)
    parts = np.empty((n_parts, 2, n, width) if needs_dkernel else (1, 1, 1, 1), plan.table.dtype)
    run = _kernel(_backward, plan.table.dtype)

    def body(start: int, stop: int) -> None:
        arrays = flat(x), flat(dy), flat(dx), parts, spectra
        needs = needs_dx, needs_dkernel
        run(*arrays, lay, n, n_pairs, n_parts, N_LOW, needs, roots, plan, start, stop)

    _run(body, len(spectra) * n_parts, x)
    if not needs_dkernel:
        return dx, none.clone(), none.clone()
    total = torch.from_numpy(parts.sum(0)[..., : x.shape[2]] / (2 * n))
    dreverse = none.clone()
    if reverse_kernel is not None:
        dreverse = total[1, n - len(reverse_kernel) :].flip(0)
    return dx, total[0, : len(kernel)].contiguous(), dreverse


def _prepare(x: Tensor, kernel: Tensor, reverse_kernel: Tensor | None) -> tuple:
    """Return the spectra of the kernels, and how the work is laid out."""
    real = numpy_dtype(x.dtype)
    n_steps, n_samples, n_channels = x.shape
    n = 1 << (n_steps - 1).bit_length()
    roots, plan = half_roots(n, real), make_plan(n, real)
    first, second = circular_kernel(kernel, reverse_kernel, 2 * n).view(2, n, n_channels)
    halves = torch.stack([first + second, first - second]).div_(2 * n).numpy().reshape(2, -1)
    n_blocks = -(-n_channels // n_lanes(real))
    spectra = np.empty((n_blocks, 2, 2 * n * n_lanes(real)), real)
    run = _kernel(_transform_kernel, real)

    def body(start: int, stop: int) -> None:
        run(halves, spectra, n, n_channels, roots, plan, start, stop)

    _run(body, n_blocks, kernel)
    return spectra, (n_steps, n_samples, n_channels), n, -(-n_samples // 2), roots, plan


def flat(x: Tensor) -> np.ndarray:
    """View a contiguous tensor as a flat array."""
    return x.detach().view(-1).numpy()


def _run(body: Callable[[int, int], None], n: int, x: Tensor) -> None:
    """Run `n` pieces of work on `x` with as many threads as torch uses."""
    grain = max(1, GRAIN * n // max(1, x.numel()))
    parallel_for(body, n, grain=grain, n_threads=torch.get_num_threads())


@functools.lru_cache(maxsize=64)
def _kernel(template: Callable, dtype: np.dtype) -> Callable:
    """Return a compiled template; each takes those constants that it names."""
    return specialize(
        template,
        real=dtype.type,
        LANES=n_lanes(dtype),
        PAIR=2 * n_lanes(dtype),
        read=make_read(dtype),
        enter=make_enter(dtype),
        leave=make_leave(dtype),
        leave_difference=make_leave(dtype, subtract=True),
        multiply=make_product(dtype),
        multiply_conjugate=make_product(dtype, conjugate=True),
        add_correlation=make_product(dtype, conjugate=True, add=True),
        down8_last=make_step(dtype, 8, turned=False),
        up8_last=make_step(dtype, 8, inverse=True, turned=False),
        **{f"down{radix}": make_step(dtype, radix) for radix in (2, 4, 8)},
        **{f"up{radix}": make_step(dtype, radix, inverse=True) for radix in (2, 4, 8)},
        **{f.__name__: f for f in (split, join, analyse, synthesise, enter_pair, leave_pair)},
    )

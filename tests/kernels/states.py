"""Problems for the kernels of state space models, and the comparison with their references."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5}


def numbers(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Return normal random numbers, complex ones too, equal in every precision but for rounding."""
    generator = torch.Generator().manual_seed(seed)
    wide = torch.complex128 if dtype.is_complex else torch.float64
    return torch.randn(shape, dtype=wide, generator=generator).to(dtype)


def modes(n_channels: int, n_modes: int, dtype: torch.dtype = torch.complex128) -> Tensor:
    """Return logarithms of decays as S4D-Lin begins with: steps between 1/1000 and 1/10."""
    dt = torch.logspace(-3, -1, n_channels, dtype=torch.float64)
    frequencies = torch.pi * torch.arange(n_modes, dtype=torch.float64)
    return (dt[:, None] * torch.complex(torch.full_like(frequencies, -0.5), frequencies)).to(dtype)


def with_gradients(function: Callable, inputs: Sequence[Tensor], seed: int = 9) -> list[Tensor]:
    """Return the results of a function, and the gradients that random ones to them give."""
    leaves = [a.detach().requires_grad_() for a in inputs]
    results = function(*leaves)
    results = [results] if isinstance(results, Tensor) else list(results)
    upstream = [
        numbers(*y.shape, dtype=y.dtype, seed=seed + i).to(y.device) for i, y in enumerate(results)
    ]
    gradients = torch.autograd.grad(results, leaves, upstream, materialize_grads=True)
    return [*(y.detach() for y in results), *gradients]


def doubled(x: Tensor) -> Tensor:
    """Return a tensor in float64 or complex128."""
    return x.to(torch.complex128 if x.is_complex() else torch.float64)


def assert_parity(function: Callable, inputs: Sequence[Tensor], backend: str = "numba") -> None:
    """Raise AssertionError unless a backend agrees with the reference in float64."""
    found = with_gradients(lambda *args: function(*args, backend=backend), inputs)
    exact = [doubled(a) for a in inputs]
    expected = with_gradients(lambda *args: function(*args, backend="reference"), exact)
    real = torch.float32 if inputs[0].dtype in (torch.float32, torch.complex64) else torch.float64
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype in (real, real.to_complex())
        scale = max(1.0, b.abs().max().item() if b.numel() else 0.0)
        torch.testing.assert_close(doubled(a), b, rtol=0, atol=TOLERANCE[real] * scale)

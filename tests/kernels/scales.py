"""Problems for `scale_mix` and `scale_mean`, and the comparison of a backend with the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from skspike.kernels import scale_mean, scale_mix

SOURCES = ("own step", "step before", "chain", "all replaced", "any step")
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4, torch.bfloat16: 2e-2}


@dataclass
class Scales:
    """Arguments of `scale_mix`, and the gradients that arrive at it and at `scale_mean`."""

    scales: list[Tensor]
    weight: Tensor
    source: Tensor | None
    dout: Tensor
    dmean: Tensor


def make_source(kind: str, n: int, n_steps: int, n_channels: int) -> Tensor | None:
    """Return source steps: none, those of one replacement, of several in turn, or random ones."""
    if kind == "own step":
        return None
    steps = torch.arange(n_steps)[None, :, None].repeat(n, 1, n_channels)
    if kind == "any step":
        return torch.randint(0, n_steps, steps.shape)
    for i in range(n):
        replaced = torch.randperm(n_steps)[: max(1, n_steps // 3)]
        channels = torch.randperm(n_channels)[: max(1, n_channels // 2)]
        before = (replaced - 1).clamp(min=0)
        if kind == "step before":
            steps[i, replaced[:, None], channels] = before[:, None]
        elif kind == "all replaced":
            steps[i, 1:] -= 1
        else:
            for t in range(1, n_steps):
                steps[i, t, channels] = steps[i, t - 1, channels]
    return steps


def make_scales(
    n: int = 3,
    shape: Sequence[int] = (4, 2, 3, 5, 6),
    source: str = "step before",
    dtype: torch.dtype = torch.float64,
) -> Scales:
    """Return a problem of random numbers."""
    torch.manual_seed(0)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64).to(dtype)

    weight = torch.rand((n, *shape[:3]), dtype=torch.float64)
    return Scales(
        [numbers(*shape) for _ in range(n)],
        weight.to(torch.float64 if dtype == torch.float64 else torch.float32),
        make_source(source, n, shape[0], shape[2]),
        numbers(*shape),
        numbers(*shape[:3]),
    )


def run(problem: Scales, backend: str) -> list[Tensor]:
    """Return the sum, the mean, and the gradients of each to the scales and to the weight."""
    scales = [s.detach().requires_grad_() for s in problem.scales]
    weight = problem.weight.detach().requires_grad_()
    y = scale_mix(scales, weight, problem.source, backend=backend)
    mean = scale_mean(scales, backend=backend)
    return [
        y.detach(),
        mean.detach(),
        *torch.autograd.grad(y, [*scales, weight], problem.dout),
        *torch.autograd.grad(mean, scales, problem.dmean),
    ]


def exact(problem: Scales) -> Scales:
    """Return the problem in float64."""
    return Scales(
        [s.double() for s in problem.scales],
        problem.weight.double(),
        problem.source,
        problem.dout.double(),
        problem.dmean.double(),
    )


def assert_parity(problem: Scales, backend: str = "numba") -> None:
    """Raise AssertionError unless a compiled backend and the reference in float64 agree."""
    dtype = problem.scales[0].dtype
    for found, expected in zip(
        run(problem, backend), run(exact(problem), "reference"), strict=True
    ):
        assert found.dtype in (dtype, problem.weight.dtype)
        scale = max(1.0, expected.abs().max().item() if expected.numel() else 0.0)
        tolerance = TOLERANCE[dtype] * scale
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=tolerance)

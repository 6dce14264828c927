"""The parity check: one problem through two backends, outputs and every gradient compared."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from skspike.kernels import adaptive_lif, lif

TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4}


class Case(NamedTuple):
    """One member of the neuron family."""

    tau: str
    surrogate: str
    v_reset: float | None
    detach_and_state: tuple[bool, bool]
    charge: str
    strict_and_dtype: tuple[bool, torch.dtype]

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the input."""
        return self.strict_and_dtype[1]


FAMILY = Case(
    tau=("infinite", "number", "scalar tensor", "by channel", "by neuron"),
    surrogate=("atan", "sigmoid", "triangle", "rectangle", "dspike"),
    v_reset=(0.0, -0.25, None),
    detach_and_state=tuple(product((True, False), repeat=2)),
    charge=("decay_input", "leak", "decay"),
    strict_and_dtype=tuple(product((False, True), (torch.float64, torch.float32))),
)


def covering_cases() -> list[Case]:
    """Return 25 cases among which any two values of two fields meet (an orthogonal array)."""
    levels = [
        (i, j, *((i + k * j) % 5 for k in range(1, 5))) for i, j in product(range(5), repeat=2)
    ]
    return [
        Case(*(values[n % len(values)] for n, values in zip(row, FAMILY, strict=True)))
        for row in levels
    ]


def compiled_cases() -> list[Case]:
    """Return 10 cases in which every value of every field meets either dtype.

    For what is compiled: what the templates say is checked in Python with all `covering_cases`.
    """
    charge = (0, 2, 1, 0, 1)  # an infinite tau, of rows 0 and 5, makes no difference to a decay
    levels = [
        (i, 2 * i + i % 2, p, p, charge[p], 2 * (p % 2) + i % 2)
        for i in range(10)
        for p in (i // 2,)
    ]
    return [
        Case(*(values[n % len(values)] for n, values in zip(row, FAMILY, strict=True)))
        for row in levels
    ]


@dataclass
class Problem:
    """Arguments of `lif`, and the gradients that arrive at its two results.

    With a `rho`, those of `adaptive_lif`, whose third result then gets a gradient too.
    """

    x: Tensor
    v: Tensor | None
    tau: Tensor | float
    ds: Tensor
    dv: Tensor
    options: dict
    a: Tensor | None = None
    rho: Tensor | float | None = None

    def map(self, function) -> Problem:
        """Return the problem with `function` applied to its tensors that have a time axis."""
        return replace(self, x=function(self.x), ds=function(self.ds))


def make_problem(case: Case, shape: tuple[int, ...], draw: str = "random") -> Problem:
    """Draw a problem: at random, or on a grid of halves, where the threshold is hit exactly."""
    generator = torch.Generator().manual_seed(0)

    def numbers(*size: int) -> Tensor:
        z = torch.randn(size, dtype=torch.float64, generator=generator) + 0.5
        return (z if draw == "random" else (2 * z).round() / 2).to(case.dtype)

    def tau() -> Tensor | float:
        step = shape[1:]
        if case.tau == "infinite":
            return math.inf
        if case.tau == "number":
            return 2.0
        by_channel = (*step[:1], *(1 for _ in step[1:]))
        size = {"scalar tensor": (), "by channel": by_channel, "by neuron": step}[case.tau]
        exponent = numbers(*size).abs().clamp(max=2.0)
        return 2.0 ** (exponent.round() if draw == "grid" else exponent)

    detach_reset, has_state = case.detach_and_state
    strict, _ = case.strict_and_dtype
    options = {
        "threshold": 1.0,
        "v_reset": case.v_reset,
        "decay_input": case.charge == "decay_input",
        "strict": strict,
        "detach_reset": detach_reset,
        "surrogate": case.surrogate,
    }
    if case.charge == "decay":
        options["decay"] = 1 / tau()
    v = numbers(*shape[1:]) if has_state else None
    return Problem(numbers(*shape), v, tau(), numbers(*shape), numbers(*shape[1:]), options)


def adapting(problem: Problem, beta: float, rho: Tensor | float | None = None) -> Problem:
    """Return the problem of a neuron with a moving threshold, `rho` learnt by each channel."""
    step = problem.x.shape[1:]
    if rho is None:
        generator = torch.Generator().manual_seed(1)
        size = (*step[:1], *(1 for _ in step[1:]))
        rho = torch.randint(1, 4, size, generator=generator).to(problem.x.dtype) / 4
    generator = torch.Generator().manual_seed(2)
    a = torch.randint(0, 3, step, generator=generator).to(problem.x.dtype) / 2
    return replace(problem, options=problem.options | {"beta": beta}, a=a, rho=rho)


def by_step(problem: Problem, save: str = "auto") -> Problem:
    """Return the problem with gradients that stay within a step."""
    return replace(problem, options=problem.options | {"through_time": False, "save": save})


def counting(problem: Problem, max_spikes: int = 3) -> Problem:
    """Return the problem of neurons that fire more than once in a step."""
    several = {"threshold": 0.5, "max_spikes": max_spikes}
    return replace(problem, options=problem.options | several)


def run(problem: Problem, backend: str) -> dict[str, Tensor]:
    """Return the results and the gradient to every tensor among the arguments."""
    inputs = {"x": problem.x, "v": problem.v, "tau": problem.tau} | problem.options
    if "decay" in inputs:
        del inputs["tau"]
    neuron, upstream = lif, [problem.ds, problem.dv]
    if problem.rho is not None:
        neuron, upstream = adaptive_lif, [problem.ds, problem.dv, problem.dv]
        inputs |= {"a": problem.a, "adaptation_decay": problem.rho}
    leaves = {k: a.detach().requires_grad_() for k, a in inputs.items() if isinstance(a, Tensor)}
    outputs = results = neuron(**inputs | leaves, backend=backend)
    if not problem.options.get("through_time", True):  # potentials are data, at either end
        leaves.pop("v", None)
        outputs, upstream = outputs[:1], upstream[:1]
    gradients = torch.autograd.grad(outputs, list(leaves.values()), upstream)
    gradients = {f"d{k}": g for k, g in zip(leaves, gradients, strict=True)}
    return dict(zip("sva", (o.detach() for o in results), strict=False)) | gradients


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Compare spikes exactly, everything else within the tolerance of its dtype."""
    torch.testing.assert_close(found["s"], expected["s"], rtol=0, atol=0, msg="spikes differ")
    tolerance = TOLERANCE[expected["s"].dtype]
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name],
            value,
            rtol=tolerance,
            atol=tolerance,
            msg=lambda text, name=name: f"{name}: {text}",
        )


def assert_parity(problem: Problem, backend: str = "numba") -> None:
    """Raise AssertionError unless a compiled backend and the reference agree."""
    assert_same(run(problem, backend), run(problem, "reference"))

"""Problems for norm_lif: one through two backends, outputs and every gradient compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from skspike.kernels import norm_lif
from tests.kernels.parity import Case, assert_same, covering_cases, make_problem

POOLS = (None, "max", "avg")


@dataclass
class NormProblem:
    """Arguments of `norm_lif`, and the gradients that arrive at its two results."""

    inputs: dict
    running: tuple[Tensor, Tensor] | None
    ds: Tensor
    dv: Tensor
    options: dict

    def map(self, function) -> NormProblem:
        """Return the problem with `function` applied to its tensors that have a time axis."""
        inputs = self.inputs | {"x": function(self.inputs["x"])}
        return replace(self, inputs=inputs, ds=function(self.ds))

    def using(self, **options) -> NormProblem:
        """Return the problem with other options."""
        return replace(self, options=self.options | options)


def make_norm_problem(
    case: Case,
    shape: tuple[int, ...],
    draw: str = "random",
    *,
    training: bool = True,
    pool: str | None = None,
    track: bool = True,
) -> NormProblem:
    """Draw a problem: at random, or on a grid of halves that the norm leaves as it is."""
    by_neuron = {"by channel": "scalar tensor", "by neuron": "number"}
    case = case._replace(tau=by_neuron.get(case.tau, case.tau))
    lif = make_problem(case, shape, draw)
    generator = torch.Generator().manual_seed(3)

    def of_channels(low: float, high: float) -> Tensor:
        values = torch.rand(shape[2], dtype=torch.float64, generator=generator)
        return (low + (high - low) * values).to(case.dtype)

    if draw == "grid":
        one = torch.ones(shape[2], dtype=case.dtype)
        weight, bias, running, eps = one, 0 * one, (0 * one, 0.75 * one), 0.25
        training = False
    else:
        weight, bias = of_channels(0.5, 2.0), of_channels(-0.5, 1.5)
        running, eps = (of_channels(-1, 1), of_channels(0.5, 2.0)), 1e-5
    inputs = {"x": lif.x, "weight": weight, "bias": bias, "v": lif.v, "tau": lif.tau}
    options = lif.options | {"training": training, "pool": pool, "eps": eps}
    if "decay" in options:
        del inputs["tau"]
        inputs["decay"] = options.pop("decay")
    ds = lif.ds
    if pool is not None:
        ds = ds[..., : shape[3] // 2, : shape[4] // 2].contiguous()
    return NormProblem(inputs, running if track or not training else None, ds, lif.dv, options)


def run_norm(problem: NormProblem, backend: str) -> dict[str, Tensor]:
    """Return results, running statistics and the gradient to every tensor among the inputs."""
    running = [a.clone() for a in problem.running] if problem.running else [None, None]
    leaves = {
        name: value.detach().requires_grad_()
        for name, value in problem.inputs.items()
        if isinstance(value, Tensor)
    }
    arguments = problem.inputs | leaves
    names = [arguments.pop(name) for name in ("x", "weight", "bias")]
    s, v = norm_lif(*names, *running, **arguments, **problem.options, backend=backend)
    gradients = torch.autograd.grad((s, v), list(leaves.values()), (problem.ds, problem.dv))
    found = {"s": s.detach(), "v": v.detach()}
    found |= {f"d{name}": g for name, g in zip(leaves, gradients, strict=True)}
    if problem.running:
        found |= {"running_mean": running[0], "running_var": running[1]}
    return found


def assert_norm_parity(problem: NormProblem, backend: str = "numba") -> None:
    """Raise AssertionError unless a compiled backend and the reference agree."""
    assert_same(run_norm(problem, backend), run_norm(problem, "reference"))


def family() -> list[NormProblem]:
    """Return problems of the whole family of neurons, with every pooling, small."""
    problems = []
    for i, case in enumerate(covering_cases()):
        pool, shape = POOLS[i % 3], [(5, 2, 3, 5, 4), (3, 1, 2, 4, 7)][i // 3 % 2]
        for draw in ("random", "grid"):
            problems.append(
                make_norm_problem(
                    case, shape, draw, training=i % 2 == 0, pool=pool, track=i % 4 > 0
                )
            )
    return problems

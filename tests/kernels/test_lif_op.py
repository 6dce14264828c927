"""The neurons as operators of torch: registration, compilation, and what a fake may not know."""

from __future__ import annotations

import pytest
import torch

from skspike.kernels import adaptive_lif, lif
from skspike.kernels._lif_op import lif_backward, lif_forward
from skspike.kernels._spec import NeuronSpec
from tests.kernels.parity import covering_cases, make_problem

SPEC = NeuronSpec(1.0, 0.0, "decay_input", False, True, "atan", 2.0)
ADAPTIVE = NeuronSpec(0.5, None, "decay", True, False, "dspike_unit", 3.0, 0.3)
BY_STEP = NeuronSpec(1.0, 0.0, "decay", False, True, "triangle", 1.0, through_time=False)


def arguments(spec, x, *, learn):
    """Return the tensors of the operator's schema."""
    step = torch.rand_like(x[0])
    leak = torch.rand_like(step) if spec.adaptive else torch.tensor(0.5, dtype=x.dtype)
    tensors = [x, step, leak, None, None]
    if spec.adaptive:
        tensors[3:] = [torch.rand_like(step), torch.rand_like(step)]
    return [t.requires_grad_(learn) if t is not None else None for t in tensors]


@pytest.mark.parametrize("save", ["recompute", "potential"])
@pytest.mark.parametrize("spec", [SPEC, ADAPTIVE, BY_STEP], ids=["plain", "adaptive", "by step"])
@pytest.mark.parametrize("layout", ["contiguous", "channels last", "transposed"])
def test_opcheck(spec, save, layout):
    torch.manual_seed(0)
    x = torch.randn(5, 2, 3, 4, 4, dtype=torch.float64)
    if layout == "channels last":
        x = x.movedim(2, -1).contiguous().movedim(-1, 2)
    elif layout == "transposed":
        x = x.movedim(0, -1).contiguous().movedim(-1, 0)
    tensors = arguments(spec, x, learn=True)
    torch.library.opcheck(lif_forward, (*tensors, *spec.args(), save, "numba"))
    tensors = arguments(spec, x, learn=False)
    out = lif_forward(*tensors, *spec.args(), save, "numba")
    ds = torch.randn(5, 2, 3, 4, 4, dtype=torch.float64)
    upstream = (out[3], ds, torch.randn_like(out[1]), torch.randn_like(out[1]))
    torch.library.opcheck(
        lif_backward, (*tensors, *upstream, *spec.args(), True, spec.adaptive, "numba")
    )


def test_sixteen_bits_keep_their_fake_dtypes():
    x = torch.randn(3, 4).bfloat16().requires_grad_()
    leak = torch.tensor(0.5)
    args = (x, None, leak, None, None, *SPEC.args(), "recompute", "numba")
    torch.library.opcheck(lif_forward, args)


@pytest.mark.parametrize("case", covering_cases()[::8], ids=lambda case: "-".join(map(str, case)))
def test_compiles_without_a_graph_break(case):
    problem = make_problem(case, (4, 3, 5))
    inputs = {"x": problem.x, "v": problem.v, "tau": problem.tau}

    def train(x, v, tau):
        s, v = lif(2 * x, v, tau=tau, **problem.options)
        return s + 1, v

    if "decay" in problem.options and isinstance(problem.options["decay"], torch.Tensor):
        inputs["tau"] = 2.0
    compiled = torch.compile(train, fullgraph=True, backend="aot_eager")
    leaves = {
        k: a.clone().requires_grad_() if isinstance(a, torch.Tensor) else a
        for k, a in inputs.items()
    }
    tensors = [a for a in leaves.values() if isinstance(a, torch.Tensor)]
    for function in (train, compiled):
        s, v = function(**leaves)
        gradients = torch.autograd.grad((s, v), tensors, (problem.ds, problem.dv))
        if function is train:
            expected = (s, v, *gradients)
    for found, value in zip((s, v, *gradients), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=0, atol=0)


def test_adaptive_neuron_compiles_without_a_graph_break():
    def run(x):
        return adaptive_lif(x, beta=0.1, adaptation_decay=0.5)[0]

    x = torch.randn(5, 7)
    assert torch.equal(torch.compile(run, fullgraph=True, backend="aot_eager")(x), run(x))


def test_gradients_by_step_compile_without_a_graph_break():
    def run(x):
        return lif(x, decay=0.125, surrogate="triangle", through_time=False)

    x = torch.randn(5, 7, requires_grad=True)
    s, v = torch.compile(run, fullgraph=True, backend="aot_eager")(x)
    assert not v.requires_grad
    expected, _ = run(x)
    assert torch.equal(s, expected)
    (dx,), (dx_expected,) = (torch.autograd.grad(out, x, x.detach()) for out in (s, expected))
    assert torch.equal(dx, dx_expected)


def test_dynamic_shapes_are_not_compiled_again():
    counter = torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(lambda x: lif(x)[0], fullgraph=True, dynamic=True, backend=counter)
    for shape in ((4, 6), (5, 9), (7, 33)):
        x = torch.randn(shape)
        assert torch.equal(compiled(x), lif(x)[0])
    assert counter.frame_count == 1

"""The CUDA twin against the reference; without CUDA its kernels are interpreted, or compiled."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from skspike.kernels import lif
from tests.kernels.parity import (
    Case,
    adapting,
    assert_parity,
    assert_same,
    by_step,
    counting,
    covering_cases,
    make_problem,
    run,
)

pytest.importorskip("triton")

from skspike.kernels import _lif_triton
from skspike.kernels._lif_op import lif_backward, lif_forward
from skspike.kernels._spec import NeuronSpec
from tests.kernels.triton_device import DEVICE, needs_triton, poisoned, to_device  # noqa: F401

PLAIN = Case("number", "atan", 0.0, (True, False), "decay_input", (False, torch.float32))
RICH = Case("by neuron", "sigmoid", None, (False, True), "leak", (True, torch.float64))

SPEC = NeuronSpec(1.0, 0.0, "decay_input", False, True, "atan", 2.0)
ADAPTIVE = NeuronSpec(0.5, None, "decay", True, False, "dspike_unit", 3.0, 0.3)

by_kind = pytest.mark.parametrize("case", [PLAIN, RICH], ids=["plain", "rich"])
by_draw = pytest.mark.parametrize("draw", ["random", "grid"])
by_save = pytest.mark.parametrize("save", ["recompute", "potential"])


def check(problem, save="auto"):
    """Compare both ways to save, or one, with the reference."""
    problem = to_device(problem)
    options = problem.options if problem.rho is not None else problem.options | {"save": save}
    assert_same(run(replace(problem, options=options), "triton"), run(problem, "reference"))


# --- the family ---


@needs_triton
@by_draw
@pytest.mark.parametrize("case", covering_cases(), ids=lambda case: "-".join(map(str, case)))
def test_family(case, draw):
    problem = make_problem(case, (9, 2, 5, 3), draw)
    check(problem, "recompute")
    check(problem, "potential")


@needs_triton
@by_draw
@pytest.mark.parametrize("beta", [0.5, -0.25])
@pytest.mark.parametrize("case", covering_cases()[::4], ids=lambda case: "-".join(map(str, case)))
def test_moving_threshold(case, beta, draw):
    check(adapting(make_problem(case, (9, 2, 5), draw), beta))


@needs_triton
@by_draw
@by_save
@pytest.mark.parametrize("case", covering_cases()[::4], ids=lambda case: "-".join(map(str, case)))
def test_gradients_by_step(case, save, draw):
    check(by_step(make_problem(case, (19, 2, 5), draw)), save)


@needs_triton
@by_draw
@by_save
@pytest.mark.parametrize("case", covering_cases()[::3], ids=lambda case: "-".join(map(str, case)))
def test_several_spikes_in_a_step(case, save, draw):
    problem = counting(make_problem(case, (9, 2, 5), draw))
    check(problem, save)
    check(by_step(problem), save)


@needs_triton
@pytest.mark.parametrize(
    "rho", [0.25, torch.tensor(0.5, dtype=torch.float64)], ids=["number", "tensor"]
)
def test_one_decay_of_the_threshold_for_all(rho):
    check(adapting(make_problem(RICH, (18, 2, 70)), 0.5, rho))


@needs_triton
@by_save
@pytest.mark.parametrize("alpha", [0.1, 5.0])
@pytest.mark.parametrize(
    "surrogate",
    ["atan", "sigmoid", "unit_sigmoid", "triangle", "rectangle", "dspike", "dspike_unit"],
)
def test_surrogate(surrogate, alpha, save):
    problem = make_problem(RICH, (9, 40))
    problem.options |= {"surrogate": surrogate, "alpha": alpha, "threshold": 0.75}
    check(problem, save)


# --- shapes and layouts ---


@needs_triton
@by_kind
@by_save
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (16, 3, 43), (33, 2, 5, 7)], ids=str)
def test_shape(shape, save, case):
    check(make_problem(case, shape), save)


@needs_triton
@by_kind
@by_save
def test_several_programs_share_a_coefficient(case, save):
    check(make_problem(case._replace(tau="scalar tensor"), (9, 300)), save)


@needs_triton
def test_programs_of_several_warps(monkeypatch):
    monkeypatch.setattr(_lif_triton, "MANY_NEURONS", 0)
    check(make_problem(RICH._replace(tau="scalar tensor"), (9, 600)))


@needs_triton
@by_kind
@pytest.mark.parametrize("shape", [(3, 0), (20, 4, 0, 5)])
def test_no_neurons(shape, case):
    problem = make_problem(case, shape)
    check(problem)
    assert run(to_device(problem), "triton")["dx"].shape == shape


@needs_triton
def test_one_dimension_is_one_neuron():
    problem = make_problem(RICH, (9, 1))
    problem = replace(problem.map(lambda x: x[:, 0]), v=None, dv=problem.dv[0], tau=problem.tau[0])
    check(problem)


def transposed(x):
    return x.transpose(1, -1).contiguous().transpose(1, -1)


def channels_last(x):
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def steps_last(x):
    return x.movedim(0, -1).contiguous().movedim(-1, 0)


def every_second(x):
    return torch.stack([x, x + 9], -1)[..., 0]


def offset(x):
    return torch.cat([x[:1] + 9, x])[1:]


@needs_triton
@by_save
@pytest.mark.parametrize("layout", [transposed, channels_last, steps_last, every_second, offset])
def test_layout(layout, save):
    problem = to_device(make_problem(RICH, (9, 2, 3, 4, 5)))
    whole = {"x": layout(problem.x), "ds": layout(problem.ds)}
    steps = {name: layout(getattr(problem, name)[None])[0] for name in ("v", "tau", "dv")}
    for changed in ({"x": whole["x"]}, {"ds": whole["ds"]}, steps, whole | steps):
        moved = replace(problem, **changed, options=problem.options | {"save": save})
        assert_parity(moved, "triton")


@needs_triton
def test_layout_of_the_results():
    x = channels_last(torch.randn(9, 2, 3, 4, 5)).to(DEVICE).requires_grad_()
    s, v = lif(x, backend="triton")
    (dx,) = torch.autograd.grad(s.sum() + v.sum(), x)
    assert s.stride() == dx.stride() == x.stride()
    assert v.stride() == x[0].stride()


@needs_triton
def test_expanded_tensors():
    problem = to_device(make_problem(RICH, (9, 3, 5)))
    one = torch.ones((), dtype=torch.float64, device=DEVICE)
    for changed in (
        problem.map(lambda x: x[:1].expand(9, 3, 5)),
        replace(problem, ds=one.expand(9, 3, 5), dv=one.expand(3, 5)),
        replace(problem, v=problem.v[:, :1], tau=problem.tau[:1]),
        replace(problem, v=problem.v[0, 0], tau=problem.tau[0, :1]),
    ):
        assert_parity(changed, "triton")


@needs_triton
def test_only_one_result_is_used():
    problem = to_device(make_problem(RICH, (9, 30)))
    for index in (0, 1):
        gradients = []
        for backend in ("triton", "reference"):
            x = problem.x.clone().requires_grad_()
            out = lif(x, problem.v, tau=problem.tau, backend=backend, **problem.options)[index]
            gradients += torch.autograd.grad(out.sum(), x)
        torch.testing.assert_close(*gradients)


# --- precision ---


@needs_triton
@by_save
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_are_computed_in_thirty_two(dtype, save):
    case = RICH._replace(strict_and_dtype=(False, torch.float32))
    problem = to_device(make_problem(case, (18, 300)))
    problem.options["save"] = save
    compact = problem.map(lambda x: x.to(dtype))
    found = run(compact, "triton")
    expected = run(compact.map(lambda x: x.float()), "reference")
    assert found["s"].dtype == found["dx"].dtype == dtype
    assert found["v"].dtype == found["dtau"].dtype == torch.float32
    for name, value in expected.items():
        if found[name].dtype == dtype:
            tolerance = torch.finfo(dtype).eps
            torch.testing.assert_close(found[name].float(), value, rtol=tolerance, atol=1e-4)
        else:
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["s"].float(), expected["s"], rtol=0, atol=0)


@needs_triton
def test_threshold_is_not_rounded():
    """0.1 in float64 is not the float32 next to it."""
    x = torch.tensor([[0.1, 0.1 - 1e-12]], dtype=torch.float64, device=DEVICE)
    s, _ = lif(x, tau=math.inf, threshold=0.1, backend="triton")
    assert s.tolist() == [[1.0, 0.0]]


# --- memory, runs and modes ---


@needs_triton
@by_save
@by_kind
@pytest.mark.parametrize("adaptive", [False, True], ids=["fixed", "moving"])
def test_every_element_is_written(case, save, adaptive, poisoned):  # noqa: F811
    problem = make_problem(case._replace(tau="scalar tensor"), (18, 300))
    check(adapting(problem, 0.5) if adaptive else problem, save)


@needs_triton
def test_results_are_equal_in_every_run():
    problem = to_device(make_problem(RICH._replace(tau="scalar tensor"), (9, 300)))
    first, second = run(problem, "triton"), run(problem, "triton")
    assert all(torch.equal(first[name], second[name]) for name in first)


@needs_triton
def test_nothing_is_kept_without_a_gradient():
    x = torch.randn(24, 30, device=DEVICE)
    leak = torch.full((1,), 0.5, device=DEVICE)
    kept = {
        save: _lif_triton.forward(x, None, leak, None, None, SPEC, save)[3]
        for save in ("nothing", "recompute", "potential")
    }
    assert {save: tuple(k.shape) for save, k in kept.items()} == {
        "nothing": (0,),
        "recompute": (2, 30),
        "potential": (24, 30),
    }


# --- the operator ---


@needs_triton
@pytest.mark.parametrize(
    ("spec", "save", "layout"),
    [
        (SPEC, "recompute", channels_last),
        (SPEC, "potential", steps_last),
        (ADAPTIVE, "recompute", torch.clone),
    ],
    ids=["plain", "potential", "adaptive"],
)
def test_opcheck(spec, save, layout):
    x = layout(torch.randn(9, 2, 3, 4, 4, dtype=torch.float64, device=DEVICE))
    step = torch.rand_like(x[0])
    leak = step if spec.adaptive else step.new_full((), 0.5)
    tensors = [x, step, leak, *([step, step] if spec.adaptive else [None, None])]
    saved = lif_forward(*tensors, *spec.args(), save, "triton")[3]
    upstream = (saved, x, step, step if spec.adaptive else None)
    learn = (True, spec.adaptive, "triton")
    torch.library.opcheck(lif_backward, (*tensors, *upstream, *spec.args(), *learn))
    leaves = [t if t is None else t.clone().requires_grad_() for t in tensors]
    torch.library.opcheck(lif_forward, (*leaves, *spec.args(), save, "triton"))


# --- machine code, without a GPU ---


def test_kernels_compile_for_hopper():
    """Everything stays in registers, rows move 16 bytes at a time, no product is contracted."""
    root = Path(__file__).parents[2]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = str(root)
    command = [sys.executable, "-m", "tests.kernels.triton_compile", "lif"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(kernels) >= 10
    for kernel in kernels:
        if "float64" not in kernel["case"]:  # its exponential multiplies and adds at once
            assert kernel["fused"] == 0, kernel
        assert kernel["LOCAL"] == 0, kernel
        assert kernel["STACK"] <= 16, kernel
        # single numbers are the shared coefficients
        assert kernel["widths"].get("ld32", 0) <= 2, kernel
        wide = {"ld64", "st64"} if "decay dspike" in kernel["case"] else set()
        assert set(kernel["widths"]) <= {"ld32", "ld128", "st128"} | wide, kernel


# --- on CUDA alone ---


@pytest.mark.gpu
@by_save
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_large_against_the_reference(dtype, save):
    x = torch.randn(16, 2**18 + 3, device="cuda").to(dtype)
    ds = torch.randn_like(x)
    found, expected = [], []
    for backend, results in (("triton", found), ("reference", expected)):
        leaf = x.clone().requires_grad_()
        s, v = lif(leaf, backend=backend, save=save)
        results += [s, v, *torch.autograd.grad((s, v), leaf, (ds, v.detach()))]
    assert torch.equal(found[0], expected[0])
    tolerance = 1e-4 if dtype == torch.float32 else 2e-2
    for a, b in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
def test_cuda_graph():
    x = torch.randn(16, 5000, device="cuda").requires_grad_()
    tau = torch.tensor(2.0, device="cuda", requires_grad=True)

    def step():
        s, v = lif(x, tau=tau, backend="triton")
        return s, v, *torch.autograd.grad(s.sum() + v.sum(), (x, tau))

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        x.copy_(torch.randn_like(x))
    graph.replay()
    for a, b in zip(captured, step(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.gpu
def test_side_stream():
    x = torch.randn(64, 2**16, device="cuda")
    expected, _ = lif(x, backend="reference")
    for _ in range(20):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            y = torch.zeros_like(x)
            torch.cuda._sleep(2_000_000)
            y += x
            s, _ = lif(y, backend="triton")
        stream.synchronize()
        assert torch.equal(s, expected)


@pytest.mark.gpu
@by_save
def test_more_than_two_to_the_31_elements(save):
    n = 2**28 + 16
    x = torch.ones(9, n, dtype=torch.bfloat16, device="cuda")
    x[:, -1] = 3
    x.requires_grad_()
    s, v = lif(x, backend="triton", save=save)
    few = x.detach()[:, -2:].clone().requires_grad_()
    s_few, v_few = lif(few, backend="reference")
    assert torch.equal(s[:, -2:], s_few)
    assert torch.equal(v[-2:], v_few)
    (dx,) = torch.autograd.grad(s, x, x.detach())
    (dx_few,) = torch.autograd.grad(s_few, few, few.detach())
    torch.testing.assert_close(dx[:, -2:], dx_few)
    assert (dx == dx[:, :1])[:, :-1].all()


@pytest.mark.gpu
@by_save
@pytest.mark.parametrize("n_steps", [1024, 65536])
def test_many_steps(n_steps, save):
    x = torch.randn(n_steps, 33, dtype=torch.float64, device="cuda") + 0.5
    x.requires_grad_()
    s, v = lif(x, backend="triton", save=save)
    (dx,) = torch.autograd.grad(s, x, x.detach())
    x_cpu = x.detach().cpu().requires_grad_()
    s_cpu, v_cpu = lif(x_cpu, backend="numba")
    assert torch.equal(s.cpu(), s_cpu)
    torch.testing.assert_close(v.cpu(), v_cpu, rtol=1e-11, atol=1e-11)
    (dx_cpu,) = torch.autograd.grad(s_cpu, x_cpu, x_cpu.detach())
    torch.testing.assert_close(dx.cpu(), dx_cpu, rtol=1e-11, atol=1e-11)


def compiled_versions():
    return sum(
        len(caches[0])
        for kernel in (_lif_triton._forward, _lif_triton._backward)
        for caches in kernel.device_caches.values()
    )


@pytest.mark.gpu
def test_a_new_batch_size_compiles_nothing():
    def train(n_steps, n_samples):
        x = torch.randn(n_steps, n_samples, 128, device="cuda", requires_grad=True)
        s, _ = lif(x, backend="triton")
        s.sum().backward()

    train(10, 20)
    before = compiled_versions()
    for n_steps, n_samples in ((10, 21), (16, 32), (11, 5), (3, 64), (100, 7)):
        train(n_steps, n_samples)
    assert compiled_versions() == before


@pytest.mark.gpu
def test_gradients_in_eval_mode():
    from skspike.nn import LIF

    x = torch.randn(9, 2, 30, device="cuda", requires_grad=True)
    gradients = []
    for layer in (LIF().cuda().train(), LIF().cuda().eval()):
        out = layer(x)
        out = out[0] if isinstance(out, tuple) else out
        gradients += torch.autograd.grad(out.sum(), x)
    assert torch.equal(*gradients)


@pytest.mark.gpu
def test_any_device():
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two devices")
    x = torch.randn(9, 300, device="cuda:1")
    s, v = lif(x, backend="triton")
    expected, v_expected = lif(x, backend="reference")
    assert s.device == x.device
    assert torch.equal(s, expected)
    torch.testing.assert_close(v, v_expected)


@pytest.mark.gpu
def test_cuda_takes_triton_by_itself():
    x = torch.randn(9, 300, device="cuda", requires_grad=True)
    s, _ = lif(x)
    assert s.grad_fn.backend == "triton"

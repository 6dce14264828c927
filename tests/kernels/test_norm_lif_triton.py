"""The CUDA twin of batch norm, neurons and pooling against the reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from skspike.kernels._norm_lif import norm_lif, norm_lif_forward
from skspike.kernels._spec import NeuronSpec

pytest.importorskip("triton")

from skspike.kernels import _norm_lif_triton
from tests.kernels.triton_device import DEVICE, needs_triton, poisoned  # noqa: F401

SPEC_OPTIONS = (
    {},
    {"v_reset": None, "detach_reset": False, "surrogate": "sigmoid", "decay": 0.25},
    {"v_reset": -0.25, "strict": True, "decay_input": False, "surrogate": "triangle"},
    {"tau": float("inf"), "detach_reset": False, "surrogate": "dspike", "threshold": 0.5},
)
POOLS = (None, "max", "avg")


def contiguous(x):
    return x.contiguous()


def channels_last(x):
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


by_layout = pytest.mark.parametrize("layout", [contiguous, channels_last])
by_pool = pytest.mark.parametrize("pool", POOLS)


def run(backend, shape, layout=contiguous, pool=None, dtype=torch.float64, learn=False, **options):
    """Return the results, the running statistics and the gradient to every tensor."""
    generator = torch.Generator().manual_seed(0)
    real = torch.float64 if dtype == torch.float64 else torch.float32

    def numbers(*size):
        return torch.randn(size, dtype=torch.float64, generator=generator).to(DEVICE)

    with_state = options.pop("state", True)
    leaves = {
        "x": layout(numbers(*shape).to(dtype)),
        "weight": numbers(shape[2]).to(real),
        "bias": numbers(shape[2]).to(real) / 2 + 0.5,
    }
    if with_state:
        leaves["v"] = numbers(*shape[1:]).to(real)
    if learn:
        leaves["tau"] = torch.tensor(1.75, dtype=real, device=DEVICE)
    leaves = {name: leaf.detach().requires_grad_() for name, leaf in leaves.items()}
    mean, var = numbers(shape[2]).to(real), numbers(shape[2]).to(real) ** 2 + 0.5
    options = {"training": True} | options
    s, v = norm_lif(
        running_mean=mean, running_var=var, pool=pool, backend=backend, **leaves, **options
    )
    upstream = numbers(*s.shape).to(dtype), numbers(*v.shape).to(real)
    gradients = torch.autograd.grad((s, v), list(leaves.values()), upstream)
    found = {"s": s, "v": v, "mean": mean, "var": var}
    return found | {f"d{name}": g for name, g in zip(leaves, gradients, strict=True)}


def check(*args, tolerance=1e-11, **options):
    """Raise AssertionError unless Triton and the reference agree."""
    found, expected = (run(backend, *args, **options) for backend in ("triton", "reference"))
    assert torch.equal(found["s"], expected["s"])
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        torch.testing.assert_close(
            found[name],
            value,
            rtol=tolerance,
            atol=tolerance,
            msg=lambda text, name=name: f"{name}: {text}",
        )


# --- parity ---


@needs_triton
@by_pool
def test_layout_of_the_results(pool):
    found = run("triton", (2, 2, 3, 4, 5), channels_last, pool)
    for name in ("s", "dx"):
        assert found[name].movedim(2, -1).is_contiguous()
    assert found["v"].movedim(1, -1).is_contiguous()


@needs_triton
@by_layout
@by_pool
@pytest.mark.parametrize("number", range(len(SPEC_OPTIONS)))
def test_family(number, pool, layout):
    options = SPEC_OPTIONS[number]
    learn = "tau" not in options and "decay" not in options
    check((9, 2, 3, 4, 5), layout, pool, learn=learn, state=number != 1, **options)


@needs_triton
@by_layout
@by_pool
def test_fixed_statistics(pool, layout):
    check((5, 2, 3, 5, 4), layout, pool, training=False, learn=True)


@needs_triton
@by_layout
@by_pool
@pytest.mark.parametrize("shape", [(1, 2, 1, 2, 2), (2, 3, 5, 3, 3), (17, 1, 2, 2, 3)], ids=str)
def test_shape(shape, pool, layout):
    check(shape, layout, pool)


@needs_triton
@by_layout
@pytest.mark.parametrize("pool", [None, "max"])
def test_several_blocks(pool, layout):
    """Pixels of a map and channels of a pixel fill more than a program."""
    check((2, 2, 3, 34, 36) if layout is contiguous else (2, 2, 150, 4, 5), layout, pool)


@needs_triton
@pytest.mark.parametrize("shape", [(3, 2, 4), (3, 2, 4, 6), (2, 2, 2, 3, 2, 3)], ids=str)
def test_maps_of_other_dimensions(shape):
    check(shape)
    check(shape, channels_last)


@needs_triton
def test_transposed_input():
    check((4, 2, 3, 4, 5), lambda x: x.transpose(1, -1).contiguous().transpose(1, -1), "max")


@needs_triton
@by_layout
def test_moments_go_over_many_maps(layout, monkeypatch):
    monkeypatch.setattr(_norm_lif_triton, "MANY_PROGRAMS", 4)
    generator = torch.Generator().manual_seed(0)
    x = layout(1e3 + torch.randn(40, 30, 3, 5, 5, dtype=torch.float64, generator=generator))
    mean, var = _norm_lif_triton.moments(x.to(DEVICE))
    flat = x.transpose(0, 2).flatten(1)
    torch.testing.assert_close(mean.cpu(), flat.mean(1), rtol=1e-12, atol=0)
    torch.testing.assert_close(var.cpu(), flat.var(1, correction=0), rtol=1e-9, atol=0)


@needs_triton
@by_layout
def test_no_neurons(layout):
    found = run("triton", (3, 2, 4, 0, 5), layout, training=False)
    assert found["s"].shape == found["dx"].shape == (3, 2, 4, 0, 5)
    assert (found["dweight"] == 0).all()


@needs_triton
@by_layout
@by_pool
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dtype(dtype, pool, layout):
    tolerance = 1e-4 if dtype == torch.float32 else 8 * torch.finfo(dtype).eps
    check((5, 2, 3, 4, 6), layout, pool, dtype=dtype, tolerance=tolerance)


@needs_triton
@by_layout
@by_pool
def test_every_element_is_written(pool, layout, poisoned):  # noqa: F811
    check((9, 2, 3, 5, 5), layout, pool, learn=True)


@needs_triton
def test_results_are_equal_in_every_run():
    first, second = (run("triton", (9, 3, 2, 12, 12), pool="max", learn=True) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@needs_triton
@by_layout
@pytest.mark.parametrize("pool", ["none", "max"])
def test_opcheck(pool, layout):
    x = layout(torch.randn(3, 2, 3, 4, 5, dtype=torch.float64, device=DEVICE))
    tensors = [x, x.new_ones(3), x.new_ones(3), torch.rand_like(x[0]), x.new_full((), 0.5)]
    x, weight, bias, v, leak = (tensor.requires_grad_() for tensor in tensors)
    spec = NeuronSpec(1.0, 0.0, "decay_input", False, True, "atan", 2.0)
    rest = (*spec.args(), 1e-5, pool, "", "triton")
    torch.library.opcheck(norm_lif_forward, (x, weight, bias, None, None, v, leak, *rest))


# --- machine code, without a GPU ---


def test_kernels_compile_for_hopper():
    root = Path(__file__).parents[2]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = str(root)
    command = [sys.executable, "-m", "tests.kernels.triton_compile", "norm_lif"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    assert {kernel["name"] for kernel in kernels} == {
        "_moments",
        "_forward",
        "_backward",
        "_finish",
    }
    for kernel in kernels:
        assert kernel["fused"] == 0, kernel
        assert kernel["LOCAL"] == 0, kernel
        assert kernel["STACK"] <= 16, kernel
        if kernel["case"].startswith("none torch.float32") and "32, 32" in kernel["case"]:
            assert kernel["widths"]["ld128"] >= 2, kernel
            assert "st32" not in kernel["widths"], kernel
        if kernel["case"].startswith("max torch.float32 contiguous") and "ward" in kernel["name"]:
            assert kernel["widths"]["ld64"] >= 8, kernel


# --- on CUDA alone ---


@pytest.mark.gpu
@by_layout
@by_pool
def test_large(pool, layout):
    found, expected = (
        run(backend, (16, 4, 64, 34, 34), layout, pool, torch.float32)
        for backend in ("triton", "reference")
    )
    # a potential may meet the threshold by chance
    assert (found["s"] != expected["s"]).double().mean() < 1e-5
    torch.testing.assert_close(found["mean"], expected["mean"])
    torch.testing.assert_close(found["var"], expected["var"])
    difference = (found["dx"] - expected["dx"]).norm() / expected["dx"].norm()
    assert difference < 1e-2


@pytest.mark.gpu
@by_pool
def test_cuda_graph(pool):
    x = torch.randn(10, 2, 8, 16, 16, device="cuda").requires_grad_()
    weight = torch.ones(8, device="cuda", requires_grad=True)
    bias = torch.zeros(8, device="cuda")

    def step():
        s, _ = norm_lif(x, weight, bias, training=True, pool=pool, backend="triton")
        return s, *torch.autograd.grad(s.sum(), (x, weight))

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
@by_layout
def test_more_than_two_to_the_31_elements(layout):
    x = torch.ones(9, 4, 64, 1024, 1024, dtype=torch.bfloat16, device="cuda")
    x = layout(x)
    assert x.numel() > 2**31
    x[:, :, :, -2:, -2:] = 3
    x.requires_grad_()
    one, zero = torch.ones(64, device="cuda"), torch.zeros(64, device="cuda")
    s, v = norm_lif(x, one, zero, zero, one, training=False, pool="max", backend="triton")
    few = x.detach()[..., -2:, -2:].contiguous().requires_grad_()
    s_few, v_few = norm_lif(
        few, one, zero, zero, one, training=False, pool="max", backend="reference"
    )
    assert torch.equal(s[..., -1:, -1:], s_few)
    torch.testing.assert_close(v[..., -2:, -2:], v_few)
    (dx,) = torch.autograd.grad(s.sum(dtype=torch.float32), x)
    (dx_few,) = torch.autograd.grad(s_few.sum(dtype=torch.float32), few)
    torch.testing.assert_close(dx[..., -2:, -2:], dx_few)


@pytest.mark.gpu
def test_a_new_batch_size_compiles_nothing():
    def versions():
        kernels = ("_moments", "_forward", "_backward", "_finish")
        caches = (getattr(_norm_lif_triton, name).device_caches.values() for name in kernels)
        return sum(len(cache[0]) for of_kernel in caches for cache in of_kernel)

    def train(n_steps, n_samples):
        x = torch.randn(n_steps, n_samples, 16, 16, 16, device="cuda", requires_grad=True)
        weight = torch.ones(16, device="cuda", requires_grad=True)
        s, _ = norm_lif(x, weight, None, training=True, pool="max", backend="triton")
        s.sum().backward()

    for n_samples in (16, 20):
        train(10, n_samples)
    before = versions()
    for n_steps, n_samples in ((10, 21), (16, 32), (11, 5), (30, 7)):
        train(n_steps, n_samples)
    assert versions() == before

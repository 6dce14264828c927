"""The CUDA twin of mixing scales against the reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from skspike.kernels import scale_mean, scale_mix
from skspike.kernels._scale_mix import mean_forward, mix_forward
from tests.kernels.scales import SOURCES, assert_parity, make_scales, run

pytest.importorskip("triton")

from skspike.kernels import _scale_mix_triton
from tests.kernels.triton_device import DEVICE, needs_triton, poisoned, to_device  # noqa: F401


def contiguous(x):
    return x.contiguous()


def channels_last(x):
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def transposed(x):
    return x.transpose(1, -1).contiguous().transpose(1, -1)


by_layout = pytest.mark.parametrize("layout", [contiguous, channels_last])


def check(problem, layout=contiguous):
    """Raise AssertionError unless Triton and the reference agree on a problem in a layout."""
    problem = to_device(problem)
    scales, dout = [layout(s) for s in problem.scales], layout(problem.dout)
    assert_parity(replace(problem, scales=scales, dout=dout), "triton")


# --- parity ---


@needs_triton
@by_layout
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_source_and_dtype(dtype, source, layout):
    check(make_scales(3, (6, 1, 5, 3, 3), source, dtype), layout)


@needs_triton
@by_layout
@pytest.mark.parametrize("n", [1, 2, 5])
def test_number_of_scales(n, layout):
    check(make_scales(n, (3, 2, 3, 4, 4)), layout)


@needs_triton
@by_layout
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1, 1, 1, 1),
        (3, 2, 1, 5, 7),  # one channel
        (3, 2, 7, 1, 1),  # one pixel
        (3, 2, 4),  # no map
        (3, 2, 4, 6),
        (2, 2, 2, 3, 2, 3),
        (2, 1, 3, 33, 17),  # more pixels than a block
        (2, 1, 150, 2, 1),  # more channels than a block
        (2, 0, 3, 2, 2),
        (2, 2, 0, 2, 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("source", ["own step", "chain"])
def test_shape(source, shape, layout):
    check(make_scales(3, shape, "own step" if 0 in shape else source), layout)


@needs_triton
@by_layout
def test_programs_loop_over_pixels(layout, monkeypatch):
    monkeypatch.setattr(_scale_mix_triton, "MANY_PROGRAMS", 1)
    check(make_scales(3, (2, 1, 3, 33, 17), "step before"), layout)


@needs_triton
@by_layout
@pytest.mark.parametrize("source", ["own step", "step before"])
def test_maps_without_pixels(source, layout):
    problem = to_device(make_scales(3, (3, 2, 2, 0, 4), source))
    y, mean, *gradients = run(problem, "triton")
    assert y.shape == (3, 2, 2, 0, 4)
    assert mean.isnan().all()
    assert (gradients[3] == 0).all()


@needs_triton
def test_mixed_layouts():
    problem = to_device(make_scales())
    first, second, third = problem.scales
    for of_first in (contiguous, channels_last, transposed):
        scales = [of_first(first), channels_last(second), transposed(third)]
        assert_parity(replace(problem, scales=scales), "triton")


@needs_triton
def test_layout_of_the_results():
    problem = to_device(make_scales())
    scales = [channels_last(s).requires_grad_() for s in problem.scales]
    y = scale_mix(scales, problem.weight, problem.source, backend="triton")
    for tensor in (y, *torch.autograd.grad(y.sum(), scales)):
        assert tensor.movedim(2, -1).is_contiguous()


@needs_triton
@by_layout
@pytest.mark.parametrize("source", ["own step", "chain"])
def test_only_some_gradients(source, layout):
    problem = to_device(make_scales(3, (4, 2, 3, 5, 6), source))
    found = []
    for backend in ("triton", "reference"):
        scales = [layout(s) for s in problem.scales]
        weight = problem.weight.clone().requires_grad_()
        y = scale_mix(scales, weight, problem.source, backend=backend)
        found += torch.autograd.grad(y, weight, problem.dout)
        scales = [s.requires_grad_() for s in scales]
        y = scale_mix(scales, weight.detach(), problem.source, backend=backend)
        found += torch.autograd.grad(y, scales, problem.dout)
    for a, b in zip(found[:4], found[4:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@needs_triton
def test_half_precision_is_added_in_float32():
    scales = [torch.full((1, 1, 1, 5000), 0.1, dtype=torch.float16, device=DEVICE)] * 2
    assert scale_mean(scales, backend="triton").item() == pytest.approx(0.2, rel=1e-3)
    weight = torch.full((2, 1, 1, 1), 0.5, device=DEVICE)
    y = scale_mix(scales, weight, backend="triton")
    assert torch.equal(y, scales[0])


# --- memory and runs ---


@needs_triton
@by_layout
@pytest.mark.parametrize("source", SOURCES)
def test_every_element_is_written(source, layout, poisoned):  # noqa: F811
    check(make_scales(3, (4, 2, 3, 5, 6), source), layout)


@needs_triton
def test_results_are_equal_in_every_run():
    problem = to_device(make_scales(3, (2, 1, 3, 33, 17), "chain"))
    for first, second in zip(run(problem, "triton"), run(problem, "triton"), strict=True):
        assert torch.equal(first, second)


@needs_triton
@by_layout
@pytest.mark.parametrize("source", ["own step", "chain"])
def test_opcheck(source, layout):
    problem = to_device(make_scales(2, (3, 2, 3, 4, 4), source))
    scales = [layout(s).requires_grad_() for s in problem.scales]
    weight = problem.weight.requires_grad_()
    torch.library.opcheck(mix_forward, (scales, weight, problem.source, "triton"))
    torch.library.opcheck(mean_forward, (scales, "triton"))


# --- machine code, without a GPU ---


def test_kernels_compile_for_hopper():
    root = Path(__file__).parents[2]
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = str(root)
    command = [sys.executable, "-m", "tests.kernels.triton_compile", "scale_mix"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    assert {kernel["name"] for kernel in kernels} == {"_mix", "_mix_backward", "_mean"}
    for kernel in kernels:
        assert kernel["fused"] == 0, kernel
        assert kernel["LOCAL"] == 0, kernel
        assert kernel["STACK"] <= 16, kernel
        if kernel["case"].startswith("torch.float32 contiguous"):
            assert kernel["widths"]["ld128"] >= 3, kernel


# --- on CUDA alone ---


@pytest.mark.gpu
@by_layout
@pytest.mark.parametrize("source", ["own step", "step before"])
def test_large(source, layout):
    check(make_scales(3, (16, 4, 64, 64, 64), source, torch.float32), layout)


@pytest.mark.gpu
@by_layout
def test_cuda_graph(layout):
    problem = to_device(make_scales(3, (4, 2, 32, 16, 16), "chain", torch.float32))
    scales = [layout(s).requires_grad_() for s in problem.scales]
    weight = problem.weight.requires_grad_()

    def step():
        y = scale_mix(scales, weight, problem.source, backend="triton")
        mean = scale_mean(scales, backend="triton")
        return y, mean, *torch.autograd.grad(y.sum() + mean.sum(), [*scales, weight])

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        scales[0].copy_(torch.randn_like(scales[0]))
    graph.replay()
    for a, b in zip(captured, step(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.gpu
@by_layout
def test_more_than_two_to_the_31_elements(layout):
    s = layout(torch.zeros(9, 4, 64, 1024, 1024, dtype=torch.bfloat16, device="cuda"))
    assert s.numel() > 2**31
    s[-1, -1, -1, -1, -1] = 3
    weight = torch.full((1, 9, 4, 64), 0.5, device="cuda", requires_grad=True)
    y = scale_mix([s], weight, backend="triton")
    assert y[-1, -1, -1, -1, -1] == 1.5
    assert y.sum(dtype=torch.float32) == 1.5
    (dweight,) = torch.autograd.grad(y, weight, s)
    assert dweight[-1, -1, -1, -1] == 9
    assert dweight.sum() == 9
    mean = scale_mean([s], backend="triton").float()
    assert mean[-1, -1, -1] == mean.sum() == 3 / 2**20


@pytest.mark.gpu
def test_a_new_batch_size_compiles_nothing():
    def versions():
        kernels = (getattr(_scale_mix_triton, name) for name in ("_mix", "_mix_backward", "_mean"))
        return sum(len(c[0]) for kernel in kernels for c in kernel.device_caches.values())

    def train(n_steps, n_samples):
        shape = n_steps, n_samples, 64, 16, 16
        problem = to_device(make_scales(3, shape, "step before", torch.float32))
        run(problem, "triton")

    for n_samples in (16, 20):
        train(10, n_samples)
        train(16, n_samples)
    before = versions()
    for n_steps, n_samples in ((10, 21), (16, 32), (11, 5), (30, 7)):
        train(n_steps, n_samples)
    assert versions() == before

"""Mixing scales: laws of the reference, what is refused, and the operators of torch."""

from __future__ import annotations

import re

import pytest
import torch

from skspike.exceptions import BackendError
from skspike.kernels import scale_mean, scale_mix
from skspike.kernels._scale_mix import (
    has_channels_innermost,
    mean_forward,
    mix_backward,
    mix_forward,
    same_layout,
)
from tests.kernels.scales import SOURCES, make_scales, run

by_source = pytest.mark.parametrize("source", SOURCES)
by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])


# --- laws ---


@by_source
@by_backend
def test_entry_by_entry(backend, source):
    problem = make_scales(3, (4, 2, 3, 2, 2), source)
    y = scale_mix(problem.scales, problem.weight, problem.source, backend=backend)
    expected = torch.zeros_like(y)
    for i, t, c in torch.cartesian_prod(*map(torch.arange, (3, 4, 3))).tolist():
        u = t if problem.source is None else problem.source[i, t, c]
        weight = problem.weight[i, u, :, c, None, None]
        expected[t, :, c] += weight * problem.scales[i][u, :, c]
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-14)


@by_backend
def test_the_mean_is_that_of_the_stacked_sum(backend):
    scales = make_scales().scales
    expected = torch.stack(scales).sum(0).mean((-2, -1))
    torch.testing.assert_close(scale_mean(scales, backend=backend), expected, rtol=0, atol=1e-14)


@by_backend
def test_one_scale_of_weight_one_is_itself(backend):
    (s,) = make_scales(1).scales
    weight = torch.ones(1, *s.shape[:3], dtype=s.dtype)
    assert torch.equal(scale_mix([s], weight, backend=backend), s)


@by_source
@by_backend
def test_gradients_equal_finite_differences(backend, source):
    problem = make_scales(3, (3, 2, 2, 2, 2), source)
    inputs = [a.requires_grad_() for a in (problem.weight, *problem.scales)]

    def mix(weight, *scales):
        return scale_mix(scales, weight, problem.source, backend=backend)

    assert torch.autograd.gradcheck(mix, inputs)
    assert torch.autograd.gradcheck(lambda *scales: scale_mean(scales, backend=backend), inputs[1:])


@by_backend
def test_a_step_that_nobody_reads_gets_no_gradient(backend):
    problem = make_scales(3, (3, 2, 2, 4, 4), "own step")
    problem.source = torch.zeros(3, 3, 2, dtype=torch.int32)
    dweight = run(problem, backend)[5]
    assert (dweight[:, 0] != 0).all()
    assert (dweight[:, 1:] == 0).all()


@by_backend
def test_values_that_are_not_read_do_not_spoil_the_rest(backend):
    """A channel that is replaced may hold anything at that step."""
    problem = make_scales(1, (3, 2, 4, 4, 4), "own step")
    problem.source = torch.arange(3)[None, :, None].repeat(1, 1, 4)
    problem.source[0, 2, 1] = 1
    for layout in (torch.clone, channels_last):
        (s,) = (layout(s) for s in problem.scales)
        s[2, :, 1] = torch.nan
        y = scale_mix([s], problem.weight, problem.source, backend=backend)
        assert y.isfinite().all()


@pytest.mark.parametrize("needed", ["scales", "one scale", "weight"])
@by_backend
def test_gradients_of_some_arguments_alone(backend, needed):
    problem = make_scales()
    *_, dweight, _, _, _ = every = run(problem, backend)
    leaves = {"scales": problem.scales, "one scale": problem.scales[1:2]}.get(
        needed, [problem.weight]
    )
    expected = {"scales": every[2:5], "one scale": every[3:4]}.get(needed, [dweight])
    for leaf in leaves:
        leaf.requires_grad_()
    y = scale_mix(problem.scales, problem.weight, problem.source, backend=backend)
    for found, value in zip(torch.autograd.grad(y, leaves, problem.dout), expected, strict=True):
        assert torch.equal(found, value)


def test_sixteen_bits_are_added_in_float32():
    """256 + 1 is 256 in bfloat16, but 256 + 1 + 1 is not."""
    scales = [torch.full((1, 1, 1, 2), value).bfloat16() for value in (256.0, 1, 1)]
    weight = torch.ones(3, 1, 1, 1)
    for backend in ("reference", "numba"):
        assert scale_mix(scales, weight, backend=backend).tolist() == [[[[258.0, 258.0]]]]
        assert scale_mean(scales, backend=backend).item() == 258


# --- layout ---


def channels_last(x):
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def test_layouts_that_need_no_copy():
    x = torch.randn(3, 2, 4, 5, 6)
    assert not has_channels_innermost(x)
    assert has_channels_innermost(channels_last(x))
    assert not has_channels_innermost(x.transpose(3, 4))
    for first in (x, channels_last(x)):
        found = same_layout([first, first.clone(), x, channels_last(x)])
        assert [s.data_ptr() == first.data_ptr() for s in found] == [True, False, x is first, False]
        assert {s.stride() for s in found} == {first.stride()}
        assert all(torch.equal(s, t) for s, t in zip(found[1:], (first, x, x), strict=True))


def test_the_result_has_the_layout_of_the_first_scale():
    problem = make_scales()
    for layout in (torch.clone, channels_last):
        first = layout(problem.scales[0]).requires_grad_()
        y = scale_mix([first, *problem.scales[1:]], problem.weight)
        assert y.stride() == first.stride()
        assert torch.autograd.grad(y, first, problem.dout)[0].stride() == first.stride()


# --- operators of torch ---


@pytest.mark.parametrize(
    ("source", "layout"),
    [
        ("own step", torch.clone),
        ("step before", channels_last),
        ("step before", lambda x: x.transpose(3, 4)),
    ],
)
def test_opcheck(source, layout):
    problem = make_scales(3, (3, 2, 3, 4, 4), source)
    scales = [layout(s).requires_grad_() for s in problem.scales]
    weight = problem.weight.requires_grad_()
    torch.library.opcheck(mix_forward, (scales, weight, problem.source, "numba"))
    torch.library.opcheck(mean_forward, (scales, "numba"))
    scales, weight = [s.detach() for s in scales], weight.detach()
    for needs in ((True, True), (True, False), (False, True)):
        args = (scales, weight, problem.source, problem.dout, *needs, "numba")
        torch.library.opcheck(mix_backward, args)


def test_compiles_without_a_graph_break():
    problem = make_scales()

    def train(weight, *scales):
        f = scale_mean(scales)
        return scale_mix([2 * s for s in scales], weight * f, problem.source) + 1

    inputs = [a.requires_grad_() for a in (problem.weight, *problem.scales)]
    results = []
    for function in (train, torch.compile(train, fullgraph=True, backend="aot_eager")):
        y = function(*inputs)
        results.append([y, *torch.autograd.grad(y, inputs, problem.dout)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


# --- what is refused ---


def maps(*shape, dtype=torch.float32):
    return torch.zeros(shape, dtype=dtype)


@pytest.mark.parametrize(
    ("scales", "error", "message"),
    [
        ([], ValueError, "must hold at least one tensor."),
        (maps(2, 1, 1, 1), TypeError, "must be a sequence of tensors."),
        ([1.0], TypeError, "must be a sequence of tensors."),
        ([maps(1, 1, 1, dtype=torch.int64)], TypeError, "of one dtype. Got [torch.int64]."),
        (
            [maps(1, 1, 1), maps(1, 1, 1, dtype=torch.float64)],
            TypeError,
            "of one dtype. Got [torch.float32, torch.float64].",
        ),
        ([maps(1, 1)], ValueError, "(n_steps, n_samples, n_channels, ...). Got [(1, 1)] instead."),
        (
            [maps(1, 1, 1), maps(1, 1, 2)],
            ValueError,
            "(n_steps, n_samples, n_channels, ...). Got [(1, 1, 1), (1, 1, 2)] instead.",
        ),
    ],
)
def test_scales_that_do_not_fit(scales, error, message):
    for op, arguments in ((scale_mix, (scales, maps(1, 1, 1, 1))), (scale_mean, (scales,))):
        with pytest.raises(error, match=re.escape(message)) as caught:
            op(*arguments)
        assert f"The 'scales' parameter of {op.__name__} must" in str(caught.value)


def test_shapes_that_do_not_fit():
    scales = [maps(3, 2, 4, 1)] * 2
    message = "The 'weight' parameter of scale_mix must have shape (2, 3, 2, 4). Got (2, 3, 2) ins"
    with pytest.raises(ValueError, match=re.escape(message)):
        scale_mix(scales, maps(2, 3, 2))
    message = "The 'source' parameter of scale_mix must have shape (2, 3, 4). Got (3, 4) instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        scale_mix(scales, maps(2, 3, 2, 4), maps(3, 4, dtype=torch.int64))
    message = "The 'source' parameter of scale_mix must be a tensor of integers. Got torch.float32."
    with pytest.raises(TypeError, match=re.escape(message)):
        scale_mix(scales, maps(2, 3, 2, 4), maps(2, 3, 4))


@pytest.mark.parametrize("step", [-1, 3])
def test_a_source_beyond_the_steps(step):
    source = torch.full((1, 3, 4), step)
    message = f"must hold steps in the range [0, 3). Got {step} to {step} instead."
    with pytest.raises(IndexError, match=re.escape(message)):
        scale_mix([maps(3, 2, 4, 1)], maps(1, 3, 2, 4), source, backend="numba")


def test_a_backend_that_cannot_serve():
    half = [maps(1, 1, 1, dtype=torch.float16)]
    with pytest.raises(BackendError, match="The 'numba' backend of scale_mix serves"):
        scale_mix(half, maps(1, 1, 1, 1), backend="numba")
    with pytest.raises(BackendError, match="The 'numba' backend of scale_mean serves"):
        scale_mean(half, backend="numba")
    assert scale_mix(half, maps(1, 1, 1, 1)).dtype == torch.float16

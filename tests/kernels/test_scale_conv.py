"""`scale_conv` as users and torch see it: checks, gradients, layouts, precision, compilation."""

from __future__ import annotations

import pytest
import torch

from skspike.exceptions import BackendError
from skspike.kernels import _scale_conv_numba, scale_conv
from skspike.kernels._scale_conv import conv_backward, conv_forward

SIZES = (1, 3, 5, 7)


@pytest.fixture(params=["spectra", "torch", "mixed"])
def way(request, monkeypatch):
    """Let kernels take one way, whatever it costs."""
    chosen = {"spectra": [0, 1, 2, 3], "torch": [], "mixed": [0, 3]}[request.param]
    monkeypatch.setattr(_scale_conv_numba, "choose_spectral", lambda *_, **__: chosen)


def make(shape=(2, 2, 3, 6, 5), c_out=4, dtype=torch.float64, sizes=SIZES):
    """Return maps, weights and biases, of which one is None, that need gradients."""
    generator = torch.Generator().manual_seed(0)

    def draw(*size):
        z = torch.randn(size, dtype=torch.float64, generator=generator)
        return z.to(dtype).requires_grad_()

    weights = [draw(c_out + i, shape[2], k, k) for i, k in enumerate(sizes)]
    biases = [None if k == 3 else draw(c_out + i) for i, k in enumerate(sizes)]
    return draw(*shape), weights, biases


def gradients(results, x, weights, biases):
    generator = torch.Generator().manual_seed(1)
    leaves = [x, *weights, *(b for b in biases if b is not None)]
    dys = [torch.randn(y.shape, dtype=torch.float64, generator=generator) for y in results]
    dys = [dy.to(y.dtype) for dy, y in zip(dys, results, strict=True)]
    return torch.autograd.grad(results, leaves, dys)


def assert_parity(x, weights, biases, tolerance=1e-11):
    found = scale_conv(x, weights, biases, backend="numba")
    expected = scale_conv(x, weights, biases, backend="reference")
    pairs = [
        *zip(found, expected, strict=True),
        *zip(
            gradients(found, x, weights, biases),
            gradients(expected, x, weights, biases),
            strict=True,
        ),
    ]
    for a, b in pairs:
        assert a.dtype == b.dtype
        torch.testing.assert_close(
            a, b, rtol=tolerance, atol=tolerance * (1 + b.abs().max().item())
        )


# --- parity ---


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1, 1), (1, 3, 2, 5, 7), (3, 1, 3, 17, 17), (2, 2, 16, 3, 2)], ids=str
)
def test_shape(shape):
    assert_parity(*make(shape))


@pytest.mark.usefixtures("way")
def test_float32():
    assert_parity(*make((2, 2, 16, 17, 17), 16, torch.float32), tolerance=1e-5)


def test_a_problem_of_published_proportions():
    assert_parity(*make((2, 4, 64, 17, 17), 64, torch.float32), tolerance=1e-5)


def layouts(x):
    """Yield the maps in other places of memory."""
    yield x.movedim(2, -1).contiguous().movedim(-1, 2)
    yield x.transpose(0, 1).contiguous().transpose(0, 1)
    yield x.movedim(0, -1).contiguous().movedim(-1, 0)
    wide = torch.zeros(*x.shape[:-1], x.shape[-1] + 2, dtype=x.dtype)
    wide[..., 1:-1] = x
    yield wide[..., 1:-1]
    yield x[:1].expand_as(x)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("i", range(5))
def test_layout(i):
    x, weights, biases = make((2, 3, 4, 6, 5))
    x = list(layouts(x.detach()))[i].requires_grad_()
    assert_parity(x, weights, biases)


@pytest.mark.usefixtures("way")
def test_results_have_the_channel_innermost():
    x, weights, biases = make()
    results = scale_conv(x, weights, biases, backend="numba")
    assert all(y.movedim(2, -1).is_contiguous() for y in results)
    dx = gradients(results, x, weights, biases)[0]
    assert dx.movedim(2, -1).is_contiguous()


@pytest.mark.usefixtures("way")
def test_weights_may_lie_anywhere():
    x, weights, biases = make()
    weights = [w.detach().to(memory_format=torch.channels_last).requires_grad_() for w in weights]
    assert_parity(x, weights, biases)


@pytest.mark.parametrize("shape", [(0, 2, 3, 4, 4), (2, 0, 3, 4, 4)], ids=str)
def test_no_maps(shape):
    x, weights, biases = make(shape)
    results = scale_conv(x, weights, biases)
    assert [y.shape for y in results] == [(*shape[:2], 4 + i, *shape[3:]) for i in range(4)]
    assert all((g == 0).all() for g in gradients(results, x, weights, biases)[1:])


def test_no_weights():
    assert scale_conv(torch.ones(1, 1, 1, 2, 2), []) == []


# --- gradients ---


@pytest.mark.usefixtures("way")
def test_gradcheck():
    x, weights, _ = make((1, 2, 2, 4, 3), 1)
    biases = [torch.randn(len(w), dtype=torch.float64, requires_grad=True) for w in weights]

    def function(x, *parameters):
        return tuple(scale_conv(x, parameters[:4], parameters[4:], backend="numba"))

    assert torch.autograd.gradcheck(function, (x, *weights, *biases), fast_mode=True)


@pytest.mark.usefixtures("way")
def test_a_result_that_is_not_used():
    x, weights, biases = make()
    found = scale_conv(x, weights, biases, backend="numba")[1:]
    expected = scale_conv(x, weights, biases, backend="reference")[1:]
    leaves = [x, *weights]
    grads = [
        torch.autograd.grad([y.square().sum() for y in ys], leaves, allow_unused=True)
        for ys in (found, expected)
    ]
    for a, b in zip(*grads, strict=True):
        if b is None:
            assert a is None or not a.any()
        else:
            torch.testing.assert_close(a, b)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("learn", ["x", "weights", "biases", "one weight"])
def test_only_some_gradients(learn):
    x, weights, biases = make()
    biases = [
        torch.zeros(len(w), dtype=x.dtype) if b is None else b
        for w, b in zip(weights, biases, strict=True)
    ]
    chosen = {"x": [x], "weights": weights, "biases": biases, "one weight": weights[2:3]}[learn]
    for leaf in (x, *weights, *biases):
        leaf.requires_grad_(any(leaf is c for c in chosen))
    grads = [
        torch.autograd.grad([y.square().sum() for y in ys if y.requires_grad], chosen)
        for ys in (scale_conv(x, weights, biases, backend=b) for b in ("numba", "reference"))
    ]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_only_input_and_weights_are_kept():
    x, weights, biases = make()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        scale_conv(x, weights, biases, backend="numba")
    assert sum(t.numel() for t in kept) == x.numel() + sum(w.numel() for w in weights)


# --- precision ---


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("weight_dtype", [torch.float32, torch.bfloat16], ids=str)
def test_sixteen_bits(weight_dtype):
    x, weights, biases = make((2, 2, 16, 9, 8), 16, weight_dtype)
    x = x.detach().bfloat16().requires_grad_()
    found = scale_conv(x, weights, biases, backend="numba")
    assert {y.dtype for y in found} == {torch.bfloat16}
    grads = gradients(found, x, weights, biases)
    assert [g.dtype for g in grads] == [torch.bfloat16] + [weight_dtype] * 7
    double = [
        [None if t is None else t.detach().double().requires_grad_() for t in ts]
        for ts in ([x], weights, biases)
    ]
    exact = scale_conv(double[0][0], *double[1:], backend="reference")
    exact_grads = gradients(exact, double[0][0], *double[1:])
    for a, b in zip([*found, *grads], [*exact, *exact_grads], strict=True):
        error = (a.double() - b).square().mean().sqrt()
        assert error < 0.01 * b.square().mean().sqrt()


@pytest.mark.usefixtures("way")
def test_autocast_rounds_the_input():
    x, weights, biases = make((2, 2, 16, 9, 8), 16, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = scale_conv(x, weights, biases, backend="numba")
        usual = scale_conv(x, weights, biases, backend="reference")
    assert {y.dtype for y in found} == {y.dtype for y in usual} == {torch.bfloat16}
    for a, b in zip(found, usual, strict=True):
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.05 * b.abs().max().item())
    for a, b in zip(
        gradients(found, x, weights, biases), gradients(usual, x, weights, biases), strict=True
    ):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.05 * b.abs().max().item())


# --- torch's machinery ---


@pytest.mark.parametrize("shape", [(2, 2, 3, 6, 5), (1, 1, 1, 1, 1), (2, 1, 3, 1, 4)], ids=str)
def test_opcheck(shape, monkeypatch):
    monkeypatch.setattr(_scale_conv_numba, "choose_spectral", lambda *_, **__: [1])
    x, weights, _ = make(shape, sizes=(1, 3))
    biases = [torch.randn(len(w), dtype=torch.float64, requires_grad=True) for w in weights]
    torch.library.opcheck(conv_forward, (x, weights, biases, "numba"))
    x, weights = x.detach(), [w.detach() for w in weights]
    dys = [torch.randn_like(y) for y in scale_conv(x, weights)]
    for needs in ((True, True), (True, False), (False, True)):
        args = x, weights, dys, *needs, "numba"
        torch.library.opcheck(conv_backward, args, test_utils="test_faketensor")


def test_compiles_without_a_graph_break():
    x, weights, biases = make()

    def train(x, weights, biases):
        return sum(y.square().sum() for y in scale_conv(x, weights, biases))

    expected = torch.autograd.grad(train(x, weights, biases), [x, *weights])
    compiled = torch.compile(train, fullgraph=True, backend="aot_eager")
    found = torch.autograd.grad(compiled(x, weights, biases), [x, *weights])
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


# --- checks ---


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.ones(1, 1, 1, 2, 2).int(), TypeError, "floating point tensor. Got torch.int32"),
        ([1.0], TypeError, "floating point tensor. Got list"),
        (torch.ones(1, 1, 2, 2), ValueError, r"height, width\). Got \(1, 1, 2, 2\) instead"),
    ],
)
def test_input_is_checked(x, error, message):
    with pytest.raises(error, match=f"'x' parameter of scale_conv must .*{message}"):
        scale_conv(x, [torch.ones(1, 1, 3, 3)])


@pytest.mark.parametrize("shape", [(1, 1, 2, 2), (1, 2, 3, 3), (1, 1, 3, 5), (1, 3, 3)], ids=str)
def test_weights_are_checked(shape):
    message = r"Each of the 'weights' of scale_conv must have shape \(n_out, 1, k, k\) with an odd"
    with pytest.raises(ValueError, match=message):
        scale_conv(torch.ones(1, 1, 1, 4, 4), [torch.ones(1, 1, 3, 3), torch.ones(shape)])


def test_biases_are_checked():
    x, weights = torch.ones(1, 1, 1, 4, 4), [torch.ones(2, 1, 3, 3)]
    with pytest.raises(ValueError, match=r"bias of a weight of scale_conv must have shape \(2,\)"):
        scale_conv(x, weights, [torch.ones(3)])
    with pytest.raises(ValueError, match=r"one entry for each weight, 1\. Got 2 instead"):
        scale_conv(x, weights, [None, None])


def test_a_backend_asked_for_by_name_never_falls_back(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    x, weights = torch.ones(1, 1, 1, 4, 4), [torch.ones(2, 1, 3, 3)]
    with pytest.raises(BackendError, match="'numba' backend of scale_conv serves"):
        scale_conv(x.half(), weights, backend="numba")
    with pytest.raises(BackendError, match="'triton' backend of scale_conv serves"):
        scale_conv(x, weights, backend="triton")
    with pytest.raises(ValueError, match="'backend' parameter of scale_conv"):
        scale_conv(x, weights, backend="cuda")

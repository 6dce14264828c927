"""S4D against its equations in numpy, in every form, with gradients and streams."""

from __future__ import annotations

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch

from skspike import config_context
from skspike.nn import S4D

T, N, H = 40, 3, 5
by_kind = pytest.mark.parametrize("bidirectional", [False, True], ids=["causal", "bidirectional"])
by_input = pytest.mark.parametrize("trainable_input", [False, True], ids=["B=1", "B"])


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*(shape or (T, N, H)), dtype=torch.float64, generator=generator)


def build(seed=0, **options):
    """Return a layer in double precision in which no parameter is 0 or 1."""
    torch.manual_seed(seed)
    layer = S4D(H, **{"d_state": 8} | options).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def largest(difference):
    return difference.abs().max().item()


# --- the equations ---


def parameters_in_numpy(layer):
    """Return step, state matrix, input and output matrices and D of a layer as numpy arrays."""
    dt, real, imag, c, d = (
        p.detach().numpy()
        for p in (layer.log_dt.exp(), layer.log_a_real, layer.a_imag, layer.c, layer.d)
    )
    b = 1.0 if layer.b is None else layer.b.detach().numpy() @ (1, 1j)
    return dt, -np.exp(real) + 1j * imag, b, c @ (1, 1j), d


def by_vandermonde(layer, x):
    """Return the response by a sum over pairs of steps, from powers of exp(dt A)."""
    dt, a, b, c, d = parameters_in_numpy(layer)
    multiplier = np.exp(dt[:, None] * a)
    powers = np.stack([np.vander(m, len(x), increasing=True) for m in multiplier])  # (H, n, l)
    weights = c * (b * (multiplier - 1) / a)
    kernels = 2 * np.einsum("dhn,hnl->dlh", weights, powers).real
    y = d * x
    for t, j in np.ndindex(len(x), len(x)):
        if j <= t:
            y[t] += kernels[0][t - j] * x[j]
        elif layer.bidirectional:  # what looks ahead begins with the next step
            y[t] += kernels[1][j - t - 1] * x[j]
    return y


def by_recurrence(layer, x):
    """Return the response step by step, all states of conjugate pairs being there."""
    dt, a, b, c, d = parameters_in_numpy(layer)
    a, b, c = (
        np.concatenate([np.broadcast_to(m, a.shape), np.conj(np.broadcast_to(m, a.shape))], 1)
        for m in (a, b, c[0])
    )
    transition = np.exp(dt[:, None] * a)
    held = (transition - 1) / a * b  # of a zero-order hold
    state, y = np.zeros((x.shape[1], *a.shape), complex), np.zeros_like(x)
    for t, x_t in enumerate(x):
        state = transition * state + held * x_t[..., None]
        y[t] = (c * state).sum(-1).real + d * x_t
    return y


@by_kind
@by_input
def test_the_response_is_that_of_the_vandermonde_product(trainable_input, bidirectional):
    layer = build(trainable_input=trainable_input, bidirectional=bidirectional)
    expected = by_vandermonde(layer, draw().numpy())
    np.testing.assert_allclose(layer(draw()).detach(), expected, rtol=0, atol=1e-11)


@by_input
def test_the_response_is_that_of_the_discretized_recurrence(trainable_input):
    layer = build(trainable_input=trainable_input)
    expected = by_recurrence(layer, draw().numpy())
    np.testing.assert_allclose(layer(draw()).detach(), expected, rtol=0, atol=1e-11)


def test_what_looks_ahead_begins_at_the_next_step():
    """An impulse at step s is seen at s by K and D, before s by K' from its first lag on."""
    layer, s = build(bidirectional=True), 7
    impulse = torch.zeros(T, 1, H, dtype=torch.float64)
    impulse[s] = 1
    a, c = layer.discretize()
    lags = torch.arange(T)[:, None, None]
    back, ahead = (2 * (weight * torch.exp(lags * a)).sum(-1).real for weight in c)
    y = layer(impulse)[:, 0]
    torch.testing.assert_close(y[s], back[0] + layer.d, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(y[s + 1 :], back[1 : T - s], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(y[:s], ahead[:s].flip(0), rtol=1e-12, atol=1e-12)


def test_the_bidirectional_response_is_that_of_two_causal_ones():
    both, back, ahead = build(bidirectional=True), build(), build()
    with torch.no_grad():
        for layer, direction in ((back, 0), (ahead, 1)):
            state = both.state_dict() | {"c": both.c[direction : direction + 1]}
            layer.load_state_dict(state)
        ahead.d.zero_()
    x = draw()
    later = ahead(x.flip(0)).flip(0)
    expected = back(x) + torch.cat([later[1:], torch.zeros(1, N, H)])
    torch.testing.assert_close(both(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 64, 65])
@by_kind
def test_any_number_of_steps(n, bidirectional):
    layer, x = build(bidirectional=bidirectional), draw(n, N, H)
    np.testing.assert_allclose(
        layer(x).detach(), by_vandermonde(layer, x.numpy()), rtol=0, atol=1e-11
    )


def test_a_small_step_is_no_small_difference():
    """exp(dt A) - 1 keeps its digits where dt A is tiny."""
    layer = build(dt_min=1e-9, dt_max=1e-9)
    _, c = layer.discretize()
    scale = (torch.view_as_complex(layer.c) * layer.log_dt.exp()[:, None])[0]
    torch.testing.assert_close(c[0] / scale, torch.ones_like(scale), rtol=1e-7, atol=1e-7)


# --- forms ---


@by_kind
@by_input
def test_the_recurrent_form_is_the_parallel_one(trainable_input, bidirectional):
    layer = build(trainable_input=trainable_input, bidirectional=bidirectional)
    x = draw(300, N, H)
    assert largest(layer(x) - layer(x, form="recurrent")) < 1e-10


@pytest.mark.parametrize("sizes", [(1,) * T, (3, 20, T - 23), (T - 1, 1), (T,)])
def test_a_stream_in_any_chunks_is_the_whole(sizes):
    layer, x, state, parts = build(), draw(), None, []
    for chunk in x.split(sizes):
        y, state = layer.stream(chunk, state)
        parts.append(y)
    assert largest(torch.cat(parts) - layer(x)) < 1e-10
    assert state.shape == (N, H, 4)
    assert largest(state - layer.stream(x)[1]) < 1e-10


@pytest.mark.parametrize("form", ["parallel", "recurrent"])
def test_the_past_does_not_see_the_future(form):
    layer, x, s = build(), draw(), 17
    other = x.clone()
    other[s:] += draw(T - s, N, H, seed=1)
    change = layer(other, form) - layer(x, form)
    assert largest(change[:s]) < 1e-12
    assert change[s].abs().min() > 0


def test_a_bidirectional_model_sees_both_ways():
    layer, x = build(bidirectional=True), draw()
    other = x.clone()
    other[17] += 1
    change = (layer(other) - layer(x)).abs()
    assert change.amin((1, 2)).min() > 1e-6


def test_samples_and_channels_do_not_mix():
    layer, x = build(bidirectional=True), draw()
    other = x.clone()
    other[:, 1, 2] += 1
    change = (layer(other) - layer(x)).abs().amax(0)
    assert change[1, 2] > 0.1
    change[1, 2] = 0
    assert largest(change) < 1e-12


@by_kind
def test_single_precision(bidirectional):
    layer, x = build(bidirectional=bidirectional), draw(1000, N, H)
    exact = layer(x)
    layer = layer.float()
    for form in ("parallel", "recurrent"):
        y = layer(x.float(), form)
        assert y.dtype == torch.float32
        assert largest(y - exact) < 1e-5 * largest(exact)


def test_numbers_of_16_bits_under_parameters_of_32():
    layer, x = build().float(), draw().bfloat16()
    exact = layer(x.float())
    for y in (layer(x), layer(x, "recurrent"), layer.stream(x)[0]):
        assert y.dtype == torch.bfloat16
        assert largest(y - exact) < 0.03 * largest(exact)


# --- gradients ---


@by_kind
@pytest.mark.parametrize("form", ["parallel", "recurrent"])
def test_gradients(form, bidirectional):
    layer = build(d_state=4, trainable_input=True, bidirectional=bidirectional)
    names, values = zip(*layer.named_parameters(), strict=True)
    assert set(names) == {"log_dt", "log_a_real", "a_imag", "b", "c", "d"}

    def respond(x, *values):
        state = dict(zip(names, values, strict=True))
        return torch.func.functional_call(layer, state, (x, form))

    assert torch.autograd.gradcheck(respond, (draw(6, 2, H).requires_grad_(), *values))


def test_gradients_of_a_stream():
    layer, x = build(d_state=4), draw(9, 2, H).requires_grad_()
    state = torch.randn(2, H, 2, dtype=torch.complex128, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, state: layer.stream(x, state), (x, state))


# --- how it begins ---


def test_initial_values_are_those_of_s4d_lin():
    torch.manual_seed(0)
    layer = S4D(4000, d_state=8, dt_min=0.001, dt_max=0.1)
    assert layer.log_dt.min() >= math.log(0.001)
    assert layer.log_dt.max() <= math.log(0.1)
    share = (layer.log_dt - math.log(0.001)) / math.log(100)  # uniform between 0 and 1
    assert largest(share.sort().values - torch.linspace(0, 1, 4000)) < 0.03
    assert torch.equal(layer.log_a_real, torch.full((4000, 4), math.log(0.5)))
    assert torch.equal(layer.a_imag, torch.pi * torch.arange(4.0).expand(4000, 4))
    assert layer.b is None
    for values, std in ((layer.c[..., 0], 0.5**0.5), (layer.c[..., 1], 0.5**0.5), (layer.d, 1.0)):
        assert abs(values.mean().item()) < 0.05
        assert values.std().item() == pytest.approx(std, rel=0.04)


def test_a_trainable_input_begins_at_one():
    layer = S4D(3, d_state=4, trainable_input=True)
    assert torch.equal(torch.view_as_complex(layer.b), torch.ones(3, 2, dtype=torch.complex64))
    frequencies = torch.tensor([1e-4, math.pi]).expand(3, 2)
    assert torch.equal(layer.a_imag, frequencies)


@pytest.mark.parametrize(
    ("options", "n"),
    [({}, 64), ({"bidirectional": True}, 128), ({"trainable_input": True}, 128)],
)
def test_number_of_parameters(options, n):
    """Two real numbers for each mode of C and of B, two for A; one D and one step."""
    layer = S4D(7, d_state=64, **options)
    assert sum(p.numel() for p in layer.parameters()) == 7 * (n + 64 + 2)


@by_input
def test_slow_parameters(trainable_input):
    layer = S4D(3, 4, trainable_input=trainable_input)
    slow = ["log_dt", "log_a_real", "a_imag", *(["b", "c"] if trainable_input else [])]
    names = {id(p): name for name, p in layer.named_parameters()}
    assert [names[id(p)] for p in layer.slow_parameters()] == slow


# --- contract ---


@by_kind
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(copied, bidirectional):
    layer = build(bidirectional=bidirectional, trainable_input=True)
    assert torch.equal(copied(layer)(draw()), layer(draw()))
    other = build(seed=1, bidirectional=bidirectional, trainable_input=True)
    assert not torch.equal(other(draw()), layer(draw()))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(draw()), layer(draw()))


@by_kind
@pytest.mark.parametrize("form", ["parallel", "recurrent"])
def test_compiles_without_a_graph_break(form, bidirectional):
    layer = build(bidirectional=bidirectional)
    compiled = torch.compile(copy.deepcopy(layer), fullgraph=True, backend="aot_eager")
    x, y = (draw().requires_grad_() for _ in range(2))
    found, expected = compiled(x, form), layer(y, form)
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


@by_kind
@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_a_backend_by_name(backend, bidirectional):
    layer = build(bidirectional=bidirectional)
    expected = layer(draw())
    layer.backend = backend
    for form in ("parallel", "recurrent"):
        torch.testing.assert_close(layer(draw(), form), expected)
    layer.backend = "auto"
    with config_context(backend=backend):
        torch.testing.assert_close(layer(draw()), expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_channels", 0), ("d_state", 1), ("dt_min", 0.0), ("dt_max", 1e-4), ("dt_max", math.inf)],
)
def test_value_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of S4D must be an? "):
        S4D(**{"n_channels": H} | {name: value})


def test_an_odd_number_of_states():
    message = "The 'd_state' parameter of S4D must be even: states are pairs. Got 5 instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        S4D(H, d_state=5)


def test_an_unknown_form():
    with pytest.raises(
        ValueError, match=r"The 'form' parameter of S4D must be one of \['parallel'"
    ):
        build()(draw(), form="fft")


@pytest.mark.parametrize("shape", [(T, N, 4), (T, H), (T, N, H, 1)])
def test_an_input_that_does_not_fit(shape):
    message = re.escape(f"The input of S4D must have shape (n_steps, n_samples, 5). Got {shape}")
    for call in (build(), build().stream):
        with pytest.raises(ValueError, match=message):
            call(draw(*shape))


def test_a_bidirectional_model_does_not_stream():
    message = "The 'bidirectional' parameter of S4D must be False to stream. Got True instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        build(bidirectional=True).stream(draw())


def test_repr():
    assert repr(S4D(3, d_state=8)) == "S4D(3, d_state=8, bidirectional=False)"

"""The contract of `lif`: arguments and their errors, backends, what autograd may ask."""

from __future__ import annotations

import math
import re

import pytest
import torch

from skspike import config_context
from skspike.exceptions import BackendError
from skspike.kernels import _lif_numba, lif

X = torch.ones(3, 4)
by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])


# --- arguments ---


NOT_BELOW_ONE, FINITE, POSITIVE = (
    f"be a float in the range {interval}"
    for interval in ("[1.0, inf]", "(-inf, inf)", "(0.0, inf)")
)
SURROGATES = (
    "be one of ['atan', 'dspike', 'dspike_unit', 'rectangle', 'sigmoid', 'triangle', "
    "'unit_sigmoid']"
)
BACKENDS = "be one of ['auto', 'numba', 'reference', 'triton']"


@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("tau", 0.5, NOT_BELOW_ONE),
        ("tau", math.nan, NOT_BELOW_ONE),
        ("threshold", math.inf, FINITE),
        ("v_reset", math.nan, FINITE),
        ("alpha", 0, POSITIVE),
        ("alpha", math.inf, POSITIVE),
        ("surrogate", "step", SURROGATES),
        ("backend", "cuda", BACKENDS),
        ("decay", 1.5, "be a float in the range [0.0, 1.0]"),
        ("max_spikes", 0, "be an int in the range [1, inf]"),
        ("save", "spikes", "be one of ['auto', 'potential', 'recompute']"),
    ],
)
def test_value_out_of_range(name, value, must):
    message = f"The {name!r} parameter of lif must {must}. Got {value!r} instead."
    with pytest.raises(ValueError, match=re.escape(message)):
        lif(X, **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "must"),
    [
        ("tau", "2", NOT_BELOW_ONE),
        ("tau", True, NOT_BELOW_ONE),
        ("threshold", None, FINITE),
        ("v_reset", "0", FINITE),
        ("alpha", [2.0], POSITIVE),
    ],
)
def test_value_of_the_wrong_type(name, value, must):
    message = f"The {name!r} parameter of lif must {must}. Got {value!r} instead."
    with pytest.raises(TypeError, match=re.escape(message)):
        lif(X, **{name: value})


def test_several_spikes_need_a_threshold_that_can_be_passed_again():
    lif(X, threshold=-0.5)
    message = "The 'threshold' parameter of lif must be a float in the range (0.0, inf). Got -0.5"
    with pytest.raises(ValueError, match=re.escape(message)):
        lif(X, threshold=-0.5, max_spikes=2)


@pytest.mark.parametrize(("name", "shape"), [("tau", (3,)), ("tau", (2, 4)), ("v", (1, 4))])
def test_tensor_that_does_not_fit_a_step(name, shape):
    message = (
        f"The {name!r} parameter of lif must be broadcastable to one step of x, (4,). "
        f"Got shape {shape} instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        lif(X, **{name: torch.ones(shape)})


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (X.long(), TypeError, "must be a floating point tensor. Got torch.int64."),
        (X.numpy(), TypeError, "must be a floating point tensor. Got ndarray."),
        (X[:0], ValueError, "must have shape (n_steps, ...) with at least one step. Got (0, 4)"),
        (X[0, 0], ValueError, "must have shape (n_steps, ...) with at least one step. Got ()"),
    ],
)
@by_backend
def test_input_that_is_none(x, error, message, backend):
    with pytest.raises(error, match=re.escape(f"The 'x' parameter of lif {message}")):
        lif(x, backend=backend)


@pytest.mark.parametrize(
    ("surrogate", "alpha"),
    [
        ("atan", 2),
        ("sigmoid", 4),
        ("triangle", 1),
        ("rectangle", 1),
        ("dspike", 3),
        ("dspike_unit", 3),
        ("unit_sigmoid", 1),
    ],
)
def test_default_sharpness(surrogate, alpha):
    x = torch.linspace(0.2, 1.8, 9)[None].requires_grad_()
    gradients = [
        torch.autograd.grad(
            lif(x, tau=math.inf, surrogate=surrogate, alpha=a, backend="reference")[0].sum(), x
        )[0]
        for a in (None, alpha, alpha + 0.5)
    ]
    assert torch.equal(gradients[0], gradients[1])
    assert not torch.equal(gradients[0], gradients[2])


@by_backend
def test_results_have_the_dtype_of_the_input(backend):
    v, tau = torch.ones(4, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    v.requires_grad_()
    tau.requires_grad_()
    s, last = lif(X, v, tau=tau, backend=backend)
    assert s.dtype == last.dtype == X.dtype
    gradients = torch.autograd.grad(s.sum() + last.sum(), (v, tau))
    assert [g.dtype for g in gradients] == [torch.float64, torch.float64]
    assert [g.shape for g in gradients] == [v.shape, tau.shape]


# --- backends ---


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_come_and_go_with_a_state_of_thirty_two(dtype):
    x = torch.tensor([1.5, 1.5, 0.5], dtype=dtype)[:, None].requires_grad_()
    s, v = lif(x)
    assert (s.dtype, v.dtype) == (dtype, torch.float32)
    assert s.flatten().tolist() == [0.0, 1.0, 0.0]
    s.sum().backward()
    assert x.grad.dtype == dtype
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("x", [X.half(), X.to("meta")], ids=["float16", "meta"])
def test_a_backend_asked_for_by_name_never_falls_back(x):
    message = re.escape(
        "The 'numba' backend of lif serves float32, float64, bfloat16 tensors on the CPU. "
        f"Got {x.dtype} on {x.device}."
    )
    with pytest.raises(BackendError, match=message):
        lif(x, backend="numba")
    with config_context(backend="numba"), pytest.raises(BackendError, match=message):
        lif(x)


def test_triton_serves_the_cpu_in_its_interpreter_only(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    message = (
        "The 'triton' backend of lif serves float32, float64, bfloat16, float16 tensors on CUDA, "
        "or on the CPU with TRITON_INTERPRET=1. Got torch.float32 on cpu."
    )
    with pytest.raises(BackendError, match=re.escape(message)):
        lif(X, backend="triton")


@pytest.fixture
def calls(monkeypatch):
    """Return a list that grows with each call of the numba twin."""
    found = []
    twin = _lif_numba.forward
    monkeypatch.setattr(_lif_numba, "forward", lambda *a: found.append(a) or twin(*a))
    return found


def test_auto_takes_numba_where_it_can_serve(calls):
    lif(X)
    lif(X.double())
    lif(X.bfloat16())
    assert len(calls) == 3
    lif(X.half())
    assert len(calls) == 3


def test_configured_backend_serves_auto_and_yields_to_a_name(calls):
    with config_context(backend="reference"):
        lif(X)
        assert not calls
        lif(X, backend="numba")
        assert len(calls) == 1
    with config_context(backend="numba"):
        lif(X)
        assert len(calls) == 2
        lif(X, backend="reference")
        assert len(calls) == 2


# --- autograd ---


@by_backend
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode, backend):
    x = X.clone().requires_grad_()
    expected = lif(x, backend=backend)
    with mode():
        found = lif(x, backend=backend)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)
        assert not a.requires_grad


@by_backend
@pytest.mark.parametrize("name", ["x", "v", "tau"])
def test_only_one_argument_wants_a_gradient(name, backend):
    inputs = {"x": X * 0.7, "v": X[0] * 0.3, "tau": X[0] * 2}
    s, v = lif(**inputs)
    assert not s.requires_grad
    assert not v.requires_grad

    everything = {k: a.clone().requires_grad_() for k, a in inputs.items()}
    s, v = lif(**everything, backend="reference")
    (expected,) = torch.autograd.grad(s.sum() + v.sum(), everything[name])
    inputs[name] = inputs[name].clone().requires_grad_()
    s, v = lif(**inputs, backend=backend)
    (found,) = torch.autograd.grad(s.sum() + v.sum(), inputs[name])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", ["x", "v"])
def test_arguments_changed_before_the_backward_pass_are_noticed(name):
    """The numba backend recomputes the potentials: from other values they would be wrong."""
    leaves = {"x": X.clone().requires_grad_(), "v": X[0].clone().requires_grad_()}
    inputs = {k: a * 1 for k, a in leaves.items()}
    s, v = lif(**inputs, backend="numba")
    with torch.no_grad():
        inputs[name] += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (s.sum() + v.sum()).backward()


@by_backend
def test_second_derivatives_are_refused(backend):
    x = (X * 0.7).requires_grad_()
    s, _ = lif(x, backend=backend)
    (dx,) = torch.autograd.grad((s * x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"once_differentiable|second derivatives"):
        dx.sum().backward()


@by_backend
def test_backward_twice_gives_the_same(backend):
    x = (X * 0.7).requires_grad_()
    s, v = lif(x, backend=backend)
    loss = s.sum() + v.sum()
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    (second,) = torch.autograd.grad(loss, x)
    assert torch.equal(first, second)


@pytest.mark.parametrize("save", ["potential", "recompute"])
def test_what_is_saved_changes_nothing_but_memory(save):
    x = (X * 0.7).requires_grad_()
    saved = []

    def keep(tensor):
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        s, v = lif(x, save=save, backend="numba")
    assert (X.numel() in saved[1:]) == (save == "potential")
    (found,) = torch.autograd.grad(s.sum() + v.sum(), x)
    s, v = lif(x, backend="reference")
    torch.testing.assert_close(found, torch.autograd.grad(s.sum() + v.sum(), x)[0])


@pytest.mark.gpu
@pytest.mark.parametrize("tau", [math.inf, 2.0])
def test_cuda_equals_the_cpu(tau):
    torch.manual_seed(0)
    x = (2 * torch.randn(16, 3, 5, 7, dtype=torch.float64)).requires_grad_()
    spikes, v = lif(x, tau=tau)
    (dx,) = torch.autograd.grad(spikes.sum() + v.sum(), x)
    there = x.detach().cuda().requires_grad_()
    spikes_there, v_there = lif(there, tau=tau)
    (dx_there,) = torch.autograd.grad(spikes_there.sum() + v_there.sum(), there)
    assert torch.equal(spikes, spikes_there.cpu())
    torch.testing.assert_close(v, v_there.cpu())
    torch.testing.assert_close(dx, dx_there.cpu())

"""The laws of the neuron, from closed forms: the reference must obey them, and so must its twin."""

from __future__ import annotations

import math

import pytest
import torch

from skspike.kernels import lif
from skspike.kernels._lif_reference import lif_reference
from skspike.kernels._spec import CHARGES, NeuronSpec

TAUS = (1.0, 1.25, 2.0, 7.5)
RESETS = (0.0, -0.25, None)

by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])
by_tau = pytest.mark.parametrize("tau", TAUS)
by_reset = pytest.mark.parametrize("v_reset", RESETS)
by_decay_input = pytest.mark.parametrize("decay_input", [True, False])
by_detach = pytest.mark.parametrize("detach_reset", [True, False])


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def smooth_spike(u, h):
    """Stand in for the step, with a derivative that finite differences can see."""
    return torch.sigmoid(3 * u)


# --- laws of the membrane ---


@by_backend
@by_tau
@by_reset
def test_without_input_the_membrane_leaks_exponentially_to_rest(v_reset, tau, backend):
    rest, v = v_reset or 0.0, tensor(0.9, -3.0, 0.25)
    s, last = lif(torch.zeros(6, 3).double(), v, tau=tau, v_reset=v_reset, backend=backend)
    torch.testing.assert_close(last, rest + (v - rest) * (1 - 1 / tau) ** 6)
    assert not s.any()


@by_backend
@by_tau
@pytest.mark.parametrize(("decay_input", "gain"), [(True, lambda t: 1), (False, lambda t: t)])
def test_constant_current_settles_at_its_gain(decay_input, gain, tau, backend):
    current = tensor(0.12, -0.5)
    x = current.expand(500, 2)
    _, v = lif(x, tau=tau, decay_input=decay_input, backend=backend)
    torch.testing.assert_close(v, current * gain(tau))


@by_backend
@pytest.mark.parametrize("tau", [1.25, 2.0, 7.5])
@pytest.mark.parametrize("current", [1.05, 1.3, 2.5])
def test_constant_current_fires_with_the_period_of_the_closed_form(current, tau, backend):
    """From rest v_n = I (1 - (1 - 1/tau)^n), so v_n = 1 at n = log(1 - 1/I) / log(1 - 1/tau)."""
    period = math.ceil(math.log(1 - 1 / current) / math.log(1 - 1 / tau))
    s, _ = lif(torch.full((60, 1), current).double(), tau=tau, backend=backend)
    expected = [n for n in range(60) if (n + 1) % period == 0]
    assert s.flatten().nonzero().flatten().tolist() == expected


@by_backend
def test_integrate_and_fire_with_soft_reset_counts_the_charge(backend):
    """Input in eighths below the threshold: sums are exact, and one spike a step is enough."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 8, (200, 50), generator=generator).double() / 8
    s, v = lif(x, tau=math.inf, v_reset=None, backend=backend)
    charge = x.sum(0)
    assert torch.equal(s.sum(0), charge.floor())
    assert torch.equal(v, charge - charge.floor())


@by_backend
def test_the_threshold_itself_fires(backend):
    below = math.nextafter(1.0, 0.0)
    s, v = lif(tensor(1.0, below)[None], tau=math.inf, backend=backend)
    assert s.tolist() == [[1.0, 0.0]]
    assert v.tolist() == [0.0, below]


@by_backend
@pytest.mark.parametrize(("v_reset", "after"), [(0.0, 0.0), (-0.25, -0.25), (None, 1.5)])
def test_what_a_spike_leaves_behind(v_reset, after, backend):
    _, v = lif(tensor(2.5)[None], tau=math.inf, v_reset=v_reset, v=tensor(0.0), backend=backend)
    assert v.tolist() == [after]


@by_backend
def test_published_traces(backend):
    """SpikeDHS's neuron (its v is after the decay, ours before), and PLIF at its initial w = 0."""
    x = tensor(0.3, 0.3, 0.45, 0.1, 0.5, 0.6)[:, None]
    potentials = tensor(0.06, 0.072, 0, 0.02, 0, 0) / 0.2
    dhs = {"tau": 1.25, "decay_input": False, "threshold": 0.5, "backend": backend}
    assert lif(x, **dhs)[0].flatten().tolist() == [0, 0, 1, 0, 1, 1]
    for n in range(1, 7):
        torch.testing.assert_close(lif(x[:n], **dhs)[1], potentials[n - 1 : n])

    x = tensor(1.2, 1.2, 0.9, 2.5, 0.5, 1.9, 1.0)[:, None]
    s, v = lif(x, tau=torch.tensor(2.0), backend=backend)
    assert s.flatten().tolist() == [0, 0, 0, 1, 0, 1, 0]
    torch.testing.assert_close(v, tensor(0.5))


@by_backend
@by_reset
def test_two_halves_with_the_state_handed_over_equal_the_whole(v_reset, backend):
    torch.manual_seed(0)
    x = torch.randn(11, 40, dtype=torch.float64) + 0.5
    x.requires_grad_()
    options = {"v_reset": v_reset, "tau": 3.0, "backend": backend}

    whole, v_whole = lif(x, **options)
    first, v = lif(x[:4], **options)
    second, v = lif(x[4:], v, **options)
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(v, v_whole)

    weight = torch.randn_like(x)
    (dx_whole,) = torch.autograd.grad((whole * weight).sum() + v_whole.sum(), x)
    (dx,) = torch.autograd.grad((torch.cat([first, second]) * weight).sum() + v.sum(), x)
    torch.testing.assert_close(dx, dx_whole)


@by_backend
def test_a_decay_acts_on_the_carried_state_only(backend):
    """The published kernel of temporal fusion: v_t = k v_{t-1} (1 - y_{t-1}) + x_t."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(30, 50, generator=generator) * 0.5
    s, _ = lif(x, decay=0.2, threshold=0.3, backend=backend)
    v, y = torch.zeros(50), torch.zeros(50)
    for x_t, s_t in zip(x, s, strict=True):
        v = 0.2 * v * (1 - y) + x_t
        y = (v >= 0.3).float()
        assert torch.equal(s_t, y)


@by_backend
def test_a_strict_threshold_does_not_fire_on_equality(backend):
    s, v = lif(tensor(1.0, 1.5)[None], tau=math.inf, strict=True, backend=backend)
    assert s.tolist() == [[0.0, 1.0]]
    assert v.tolist() == [1.0, 0.0]


@by_backend
@pytest.mark.parametrize(
    ("v_reset", "expected"), [(None, [0.25, 0.25, 0.0, 1.75, -0.5]), (0.0, [0.25, 0, 0, 0, -0.5])]
)
def test_a_spike_for_each_threshold_that_is_reached(v_reset, expected, backend):
    x = tensor(0.25, 0.75, 1.5, 3.25, -0.5)[None]
    neuron = {"tau": math.inf, "threshold": 0.5, "max_spikes": 3, "v_reset": v_reset}
    s, v = lif(x, **neuron, backend=backend)
    assert s.tolist() == [[0.0, 1.0, 3.0, 3.0, 0.0]]
    assert v.tolist() == expected
    strict, _ = lif(x, **neuron, strict=True, backend=backend)
    assert strict.tolist() == [[0.0, 1.0, 2.0, 3.0, 0.0]]


@by_backend
def test_several_spikes_are_those_of_a_neuron_for_each_threshold(backend):
    torch.manual_seed(0)
    x, ds = (2 * torch.randn(6, 50).double()).requires_grad_(), torch.randn(6, 50).double()
    neuron = {"decay": 0.0, "v_reset": 0.0, "surrogate": "triangle", "backend": backend}
    found, _ = lif(x, **neuron, threshold=0.5, max_spikes=4)
    parts = [lif(x, **neuron, threshold=k / 2)[0] for k in range(1, 5)]
    assert torch.equal(found, sum(parts))
    slopes = [torch.autograd.grad(s, x, ds)[0] for s in (found, sum(parts))]
    torch.testing.assert_close(*slopes)


# --- laws of the gradient ---


@pytest.mark.parametrize(("beta", "max_spikes"), [(0.0, 1), (0.4, 1), (0.0, 3)])
@pytest.mark.parametrize("charge", CHARGES)
@by_reset
def test_gradients_are_exact_for_a_smooth_spike(v_reset, charge, beta, max_spikes):
    torch.manual_seed(0)
    neuron = 1.0, v_reset, charge, False, False, "atan", 2.0, beta
    spec = NeuronSpec(*neuron, max_spikes=max_spikes)

    def run(x, v, tau, a, rho):
        outputs = lif_reference(x, v, 1 / tau, spec, a if beta else None, rho, smooth_spike)
        return [output for output in outputs if output is not None]

    x, v, tau = torch.randn(4, 3), torch.randn(3), torch.tensor([1.5, 2.0, 4.0])
    a, rho = torch.rand(3), torch.rand(3)
    inputs = [i.double().requires_grad_() for i in (x, v, tau, a, rho)]
    assert torch.autograd.gradcheck(run, inputs)


@by_reset
def test_a_detached_reset_is_a_reset_by_given_spikes(v_reset):
    """The gradient equals that of a membrane whose resets are data, found in a first run."""
    torch.manual_seed(0)
    x = (torch.randn(6, 5).double() + 0.5).requires_grad_()
    v = torch.zeros(5).double()
    spec = NeuronSpec(1.0, v_reset, "decay_input", False, True, "atan", 2.0)
    s, last, _ = lif_reference(x, v, 0.5, spec, spike=smooth_spike)

    u = v
    for x_t, given in zip(x, s.detach(), strict=True):
        h = u + (x_t - (u - spec.v_rest)) / 2
        u = h - given if v_reset is None else h * (1 - given) + given * v_reset
    (found,) = torch.autograd.grad(last.sum(), x)
    (expected,) = torch.autograd.grad(u.sum(), x)
    torch.testing.assert_close(found, expected)


@by_detach
@by_decay_input
@by_reset
def test_gradients_of_one_step_by_hand(v_reset, decay_input, detach_reset):
    x, v = tensor(0.3, 2.5, 1.7)[None].requires_grad_(), tensor(0.4, 0.1, 0.7).requires_grad_()
    tau = tensor(2.0, 4.0, 2.0).requires_grad_()
    ds, dv_last = tensor(0.7, -1.1, 0.4)[None], tensor(1.3, 0.6, -0.9)
    s, last = lif(
        x,
        v,
        tau=tau,
        v_reset=v_reset,
        decay_input=decay_input,
        detach_reset=detach_reset,
        backend="reference",
    )
    found = torch.autograd.grad((s, last), (x, v, tau), (ds, dv_last))

    with torch.no_grad():
        k, rest = 1 / tau, v_reset or 0.0
        drive = x[0] if decay_input else 0 * x[0]
        h = v - (v - rest) * k + (x[0] * k if decay_input else x[0])
        g = 1 / (1 + (math.pi * (h - 1)) ** 2)  # atan, alpha = 2
        fired = (h >= 1).double()
        jump = -torch.ones_like(h) if v_reset is None else rest - h
        kept = torch.ones_like(h) if v_reset is None else 1 - fired
        dh = ds[0] * g + dv_last * (kept if detach_reset else kept + jump * g)
        dx = dh * k if decay_input else dh
        expected = dx[None], dh * (1 - k), dh * (drive - (v - rest)) * -(k**2)
    torch.testing.assert_close(found, expected)


@by_reset
@pytest.mark.parametrize("charge", CHARGES)
def test_gradients_by_step_are_the_part_of_the_whole_that_stays_in_a_step(charge, v_reset):
    """No way leads from an input to its spike but the direct one: a Jacobian's diagonal in time."""
    torch.manual_seed(0)
    x, v = torch.randn(5, 3).double(), torch.randn(3).double()

    def jacobian(spike, through_time):
        spec = NeuronSpec(1.0, v_reset, charge, False, False, "triangle", 1.0, 0.0, through_time)
        return torch.autograd.functional.jacobian(
            lambda x: lif_reference(x, v, 0.4, spec, spike=spike)[0], x
        )

    for spike in (None, smooth_spike):
        whole, found = jacobian(spike, True), jacobian(spike, False)
        diagonal = torch.eye(5, dtype=torch.bool)[:, None, :, None]
        assert whole.where(~diagonal, 0).any()
        torch.testing.assert_close(found, whole.where(diagonal, 0))


@by_backend
def test_gradients_by_step_of_a_decay(backend):
    """Those of SpikingSSM: ds_t / dx_t = max(0, 1 - |h_t - 1|), and nothing else."""
    torch.manual_seed(0)
    x, ds = torch.randn(40, 9).double().requires_grad_(), torch.randn(40, 9).double()
    decay = torch.rand(9).double().requires_grad_()
    s, v = lif(
        x, decay=decay, surrogate="triangle", through_time=False, threshold=1.0, backend=backend
    )
    assert not v.requires_grad
    found = torch.autograd.grad(s, (x, decay), ds)
    carried, potentials = torch.zeros(9).double(), []
    for s_t, x_t in zip(s.detach(), x.detach(), strict=True):
        potentials.append(carried)
        carried = (decay.detach() * carried + x_t) * (1 - s_t)
    before = torch.stack(potentials)
    dh = ds * (1 - (decay * before + x - 1).abs()).clamp(min=0).detach()
    torch.testing.assert_close(found, (dh, (dh * before).sum(0)))


@by_backend
def test_gradients_by_step_leave_potentials_alone(backend):
    x, v = torch.ones(3, 4).requires_grad_(), torch.ones(4).requires_grad_()
    for given in (v, v.detach()):
        s, last = lif(x, given, through_time=False, backend=backend)
        assert not last.requires_grad
        assert torch.autograd.grad(s.sum(), v, allow_unused=True) == (None,)
    s, last = lif(x.detach(), v, through_time=False, backend=backend)
    assert not s.requires_grad


# --- invariants ---


@by_backend
def test_neurons_do_not_see_each_other(backend):
    torch.manual_seed(0)
    x = torch.randn(5, 100)
    order = torch.randperm(100)
    s, v = lif(x, backend=backend)
    s_permuted, v_permuted = lif(x[:, order], backend=backend)
    assert torch.equal(s_permuted, s[:, order])
    assert torch.equal(v_permuted, v[order])


@by_backend
def test_arguments_are_left_as_they_were(backend):
    x, v, tau = torch.ones(3, 4), torch.full((4,), 0.5), torch.full((4,), 2.0)
    lif(x, v, tau=tau, backend=backend)
    assert (x == 1).all()
    assert (v == 0.5).all()
    assert (tau == 2).all()

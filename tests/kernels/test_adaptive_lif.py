"""The neuron with a moving threshold: published values, laws, and numba against the reference."""

from __future__ import annotations

import math
import re

import pytest
import torch

from skspike.kernels import adaptive_lif, lif
from tests.kernels.parity import adapting, assert_parity, compiled_cases, make_problem

by_backend = pytest.mark.parametrize("backend", ["reference", "numba"])
X = torch.ones(3, 2, 4)

FIRST = (0.25, 0.25, 0.40, 0.10, 0.35, 0.31, 0.50, 0.20)
SECOND = (0.40, 0.25, 0.22, 0.28, 0.24, 0.24, 0.35, 0.20)  # tells the signs apart
RHO = math.exp(-1 / 0.87)


def column(values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def publish(current, threshold, beta, backend):
    """Return spikes, and after each step the decayed membrane and the adaptation."""
    spikes, membrane, adaptation = [], [], []
    v = a = None
    for x in column(current):
        s, v, a = adaptive_lif(
            x[None],
            v,
            a,
            beta=beta,
            adaptation_decay=RHO,
            decay=0.2,
            threshold=threshold,
            strict=True,
            backend=backend,
        )
        spikes.append(int(s))
        membrane.append(0.2 * v.item())
        adaptation.append(a.item())
    return spikes, membrane, adaptation


# --- published values (the release's minus is a negative beta: its adaptation is ours negated) ---


@by_backend
def test_spikefpn(backend):
    spikes, membrane, a = publish(FIRST, 0.3, -0.07, backend)
    assert spikes == [0, 0, 1, 0, 1, 1, 1, 0]
    assert membrane == pytest.approx([0.05, 0.06, 0, 0.02, 0, 0, 0, 0.04])
    expected = [0, 0, 1, 0.316819, 1.100374, 1.348619, 1.427268, 0.452185]
    assert a == pytest.approx(expected, abs=1e-6)
    assert publish(SECOND, 0.3, -0.07, backend)[0] == [1] * 8


@by_backend
def test_spikingedn(backend):
    spikes, membrane, a = publish(FIRST, 0.5, 0.07, backend)
    assert spikes == [0, 0, 0, 0, 0, 0, 1, 0]
    expected = [0.05, 0.06, 0.092, 0.0384, 0.07768, 0.077536, 0, 0.04]
    assert membrane == pytest.approx(expected)
    assert a == pytest.approx([0, 0, 0, 0, 0, 0, 1, 0.316819], abs=1e-6)


@by_backend
def test_spatially_adaptive_modulation(backend):
    spikes, membrane, a = publish(FIRST, 0.3, 0.07, backend)
    assert spikes == [0, 0, 1, 0, 1, 0, 1, 0]
    assert membrane == pytest.approx([0.05, 0.06, 0, 0.02, 0, 0.062, 0, 0.04])
    expected = [0, 0, 1, 0.316819, 1.100374, 0.348619, 1.110449, 0.351811]
    assert a == pytest.approx(expected, abs=1e-6)
    spikes, membrane, _ = publish(SECOND, 0.3, 0.07, backend)
    assert spikes == [1, 0, 0, 1, 0, 0, 1, 0]
    assert membrane == pytest.approx([0, 0.05, 0.054, 0, 0.048, 0.0576, 0, 0.04])


@by_backend
def test_plain_neurons_of_the_same_papers(backend):
    for current, threshold, expected in (
        (FIRST, 0.3, [0, 0, 1, 0, 1, 1, 1, 0]),
        (FIRST, 0.5, [0, 0, 0, 0, 0, 0, 1, 0]),
        (SECOND, 0.3, [1, 0, 0, 1, 0, 0, 1, 0]),
    ):
        s, _ = lif(column(current), decay=0.2, threshold=threshold, strict=True, backend=backend)
        assert s.flatten().tolist() == expected


@by_backend
def test_steady_state_of_a_neuron_that_always_fires(backend):
    _, _, a = adaptive_lif(column([9.0] * 60), beta=-0.07, adaptation_decay=RHO, backend=backend)
    assert a.item() == pytest.approx(1.46374, abs=1e-5)
    assert a.item() == pytest.approx(1 / (1 - RHO))


# --- laws ---


@by_backend
def test_a_beta_of_zero_is_the_plain_neuron(backend):
    x = torch.randn(9, 20, generator=torch.Generator().manual_seed(0)).double()
    s, v, a = adaptive_lif(x, beta=0.0, adaptation_decay=0.5, backend=backend)
    plain, v_plain = lif(x, backend=backend)
    assert torch.equal(s, plain)
    assert torch.equal(v, v_plain)
    weights = 0.5 ** torch.arange(8, -1, -1.0).double()
    torch.testing.assert_close(a, (weights[:, None] * s).sum(0))


@by_backend
def test_two_halves_are_the_whole(backend):
    x = torch.randn(8, 30, generator=torch.Generator().manual_seed(0)).double()
    options = {"beta": 0.3, "adaptation_decay": 0.5, "decay": 0.5, "backend": backend}
    s, v, a = adaptive_lif(x, **options)
    first, v_half, a_half = adaptive_lif(x[:3], **options)
    second, v_end, a_end = adaptive_lif(x[3:], v_half, a_half, **options)
    assert torch.equal(torch.cat([first, second]), s)
    assert torch.equal(v_end, v)
    assert torch.equal(a_end, a)


# --- numba against the reference ---


@pytest.mark.parametrize("draw", ["random", "grid"])
@pytest.mark.parametrize("beta", [0.5, -0.25])
@pytest.mark.parametrize("case", compiled_cases()[:6], ids=lambda case: "-".join(map(str, case)))
def test_family(case, beta, draw):
    assert_parity(adapting(make_problem(case, (6, 3, 5, 2), draw), beta))


@pytest.mark.parametrize("shape", [(1, 1), (3, 0), (16, 7, 3), (1024, 5), (4, 2, 3, 5, 6)], ids=str)
def test_shape(shape):
    assert_parity(adapting(make_problem(compiled_cases()[3], shape), 0.5))


def test_shared_rho():
    rho = torch.tensor(0.7, dtype=torch.float64)
    case = next(c for c in compiled_cases() if c.dtype == torch.float64)
    assert_parity(adapting(make_problem(case, (5, 4, 3)), 0.5, rho))


def test_channels_last():
    problem = adapting(make_problem(compiled_cases()[3], (4, 2, 3, 5, 6)), 0.5)
    assert_parity(problem.map(lambda x: x.movedim(2, -1).contiguous().movedim(-1, 2)))


# --- errors ---


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("adaptation_decay", 1.5, "be a float in the range [0.0, 1.0]. Got 1.5"),
        ("beta", math.nan, "be a float in the range (-inf, inf). Got nan"),
        ("a", torch.ones(3), "be broadcastable to one step of x, (2, 4). Got shape (3,)"),
    ],
)
def test_errors(name, value, message):
    arguments = {"beta": 0.1, "adaptation_decay": 0.5, name: value}
    expected = f"The {name!r} parameter of adaptive_lif must {message} instead."
    with pytest.raises(ValueError, match=re.escape(expected)):
        adaptive_lif(X, **arguments)

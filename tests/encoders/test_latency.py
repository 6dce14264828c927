from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skspike.encoders import LatencyEncoder

LEVELS = np.concatenate([[0.0, 1.0], np.random.default_rng(0).random(500)]).reshape(-1, 2)


def encode(X, **parameters):
    return LatencyEncoder(limits=(0, 1), **parameters).fit_transform(X)


def times(X, **parameters):
    """Return the step of each spike."""
    spikes = encode(X, **parameters)
    np.testing.assert_array_equal(spikes.sum(axis=1), 1)
    return spikes.argmax(axis=1)


@pytest.mark.parametrize("n_steps", [1, 2, 5, 10, 100])
def test_linear_times_follow_the_formula(n_steps):
    expected = [[round((n_steps - 1) * (1 - x)) for x in row] for row in LEVELS.tolist()]
    assert times(LEVELS, n_steps=n_steps).tolist() == expected


@pytest.mark.parametrize("n_steps", [1, 2, 10, 30])
@pytest.mark.parametrize("tau", [0.1, 1.0, 5.0])
def test_logarithmic_times_follow_the_formula(n_steps, tau):
    last = n_steps - 1

    def time(x):
        return last - tau * math.log1p(x * math.expm1(last / tau))

    expected = [[time(x) for x in row] for row in LEVELS.tolist()]
    got = times(LEVELS, n_steps=n_steps, code="log", tau=tau)
    assert (np.abs(got - expected) <= 0.5 + 1e-9).all()
    assert np.mean(got == np.rint(expected)) > 0.99  # but for ties


@given(
    st.integers(1, 2000),
    st.floats(1e-3, 1e6),
    st.sampled_from(["linear", "log"]),
    st.lists(st.floats(0, 1), min_size=2, max_size=20),
)
def test_larger_is_never_later(n_steps, tau, code, levels):
    X = np.sort([0.0, *levels, 1.0]).reshape(-1, 1)
    steps = times(X, n_steps=n_steps, code=code, tau=tau).ravel()
    assert (np.diff(steps) <= 0).all()
    assert steps[0] == n_steps - 1
    assert steps[-1] == 0


def test_a_large_tau_is_linear():
    bent = times(LEVELS, n_steps=20, code="log", tau=1e6)
    straight = times(LEVELS, n_steps=20)
    assert np.mean(bent == straight) > 0.99


def test_levels_below_the_threshold_are_silent():
    X = np.array([[0.0, 0.1999, 0.2, 1.0]])
    assert encode(X, threshold=0.2).sum(axis=1).tolist() == [[0, 0, 1, 1]]
    assert encode(X).sum() == 4


def test_a_series_has_one_spike_in_each_of_its_steps():
    X = np.random.default_rng(0).random((3, 5, 2))
    spikes = encode(X, n_steps=4, dtype="uint8").reshape(3, 5, 4, 2)
    np.testing.assert_array_equal(spikes.sum(axis=2), 1)
    np.testing.assert_array_equal(spikes.argmax(axis=2), np.rint(3 * (1 - X)))


@pytest.mark.parametrize("code", ["linear", "log"])
@pytest.mark.parametrize("n_steps", [2, 7, 16])
def test_spikingjelly_has_the_same_code(code, n_steps):
    torch = pytest.importorskip("torch")
    encoding = pytest.importorskip("spikingjelly.activation_based.encoding")
    encoder = encoding.LatencyEncoder(n_steps, code)
    theirs = np.stack([encoder(torch.from_numpy(LEVELS)).numpy() for _ in range(n_steps)], axis=1)
    np.testing.assert_array_equal(encode(LEVELS, n_steps=n_steps, code=code), theirs)


@pytest.mark.parametrize("threshold", [0.01, 0.3])
def test_snntorch_has_the_same_linear_code(threshold):
    torch = pytest.importorskip("torch")
    spikegen = pytest.importorskip("snntorch.spikegen")
    theirs = spikegen.latency(
        torch.from_numpy(LEVELS),
        num_steps=9,
        threshold=threshold,
        normalize=True,
        linear=True,
        clip=True,
    ).numpy()
    ours = encode(LEVELS, n_steps=9, threshold=threshold)
    np.testing.assert_array_equal(ours, theirs.swapaxes(0, 1))


@pytest.mark.parametrize(
    ("name", "value"), [("code", "rank"), ("tau", 0), ("threshold", 1.5), ("n_steps", 1.5)]
)
def test_wrong_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of LatencyEncoder must be"):
        LatencyEncoder(**{name: value}).fit(LEVELS)

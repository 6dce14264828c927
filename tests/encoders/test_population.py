from __future__ import annotations

import math

import numpy as np
import pytest

from skspike.encoders import PopulationEncoder

LEVELS = np.linspace(0, 1, 21).reshape(-1, 1)


def encode(X, **parameters):
    return PopulationEncoder(limits=(0, 1), **parameters).fit_transform(X)


def response(x, i, m, beta):
    """Return the response of neuron `i` as the paper writes it, numbering neurons from 1."""
    centre = (2 * (i + 1) - 3) / 2 / (m - 2)
    sigma = 1 / beta / (m - 2)
    return math.exp(-((x - centre) ** 2) / (2 * sigma**2))


@pytest.mark.parametrize("m", [3, 6, 12])
@pytest.mark.parametrize("beta", [1.0, 1.5])
def test_currents_are_the_responses_of_the_paper(m, beta):
    currents = encode(
        LEVELS, n_neurons=m, beta=beta, code="current", n_steps=1, threshold=0, dtype="float64"
    )
    expected = [[response(x, i, m, beta) for i in range(m)] for x in LEVELS[:, 0]]
    np.testing.assert_allclose(currents[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5])
def test_spikes_come_the_sooner_the_larger_the_response(threshold):
    spikes = encode(LEVELS, n_neurons=6, n_steps=11, threshold=threshold)
    for k, x in enumerate(LEVELS[:, 0]):
        for i in range(6):
            r = response(x, i, 6, 1.5)
            expected = [round(10 * (1 - r))] if r >= threshold else []
            assert np.flatnonzero(spikes[k, :, i]).tolist() == expected


def test_every_value_is_answered():
    fine = np.linspace(0, 1, 1001).reshape(-1, 1)
    for m in (3, 8, 20):
        assert encode(fine, n_neurons=m).any(axis=(1, 2)).all()


def test_currents_are_constant():
    currents = encode(LEVELS, code="current", n_steps=4)
    assert currents.shape == (21, 4, 8)
    np.testing.assert_array_equal(currents, np.repeat(currents[:, :1], 4, axis=1))


def test_neurons_of_a_feature_lie_side_by_side():
    X = np.random.default_rng(0).random((4, 5, 3))
    spikes = encode(X, n_neurons=6, n_steps=2)
    assert spikes.shape == (4, 10, 18)
    np.testing.assert_array_equal(spikes[..., 6:12], encode(X[..., 1:2], n_neurons=6, n_steps=2))
    names = PopulationEncoder(6).fit(X).get_feature_names_out()
    assert names[:7].tolist() == [*(f"t0_x0_n{i}" for i in range(6)), "t0_x1_n0"]


def test_spikingjelly_has_the_same_receptive_fields():
    torch = pytest.importorskip("torch")
    encoding = pytest.importorskip("spikingjelly.timing_based.encoding")
    X = np.random.default_rng(0).normal(size=(40, 3))
    tuning = encoding.GaussianTuning(3, 7, *map(torch.from_numpy, (X.min(0), X.max(0))))
    if not hasattr(tuning, "mu"):
        pytest.skip("this spikingjelly keeps its receptive fields elsewhere")
    encoder = PopulationEncoder(7, code="current", threshold=0, n_steps=1, dtype="float64").fit(X)
    low, high = encoder.limits_
    centers = low[:, None] + (high - low)[:, None] * encoder.centers_
    np.testing.assert_allclose(tuning.mu, centers, rtol=1e-12)
    theirs = torch.exp(-0.5 * (torch.from_numpy(X)[..., None] - tuning.mu) ** 2 / tuning.sigma2)
    np.testing.assert_allclose(encoder.transform(X)[:, 0], theirs.reshape(40, 21), rtol=1e-9)


def test_currents_need_floats():
    with pytest.raises(ValueError, match=r"'dtype' parameter .* one of \['float32', 'float64'\]"):
        PopulationEncoder(code="current", dtype="uint8").fit(LEVELS)


@pytest.mark.parametrize(
    ("name", "value"), [("n_neurons", 2), ("beta", 0), ("threshold", -0.1), ("code", "rate")]
)
def test_wrong_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of PopulationEncoder must be"):
        PopulationEncoder(**{name: value}).fit(LEVELS)

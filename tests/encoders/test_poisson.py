from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils import check_random_state

from skspike.encoders import PoissonEncoder

N_STEPS = 4000
LEVELS = np.array([[0.0, 0.1, 0.5, 0.9, 1.0]])


def encode(X, random_state=0, **parameters):
    encoder = PoissonEncoder(limits=(0, 1), random_state=random_state, **parameters)
    return encoder.fit_transform(X)


def assert_rates(spikes, probability):
    """Compare rates over `N_STEPS` steps with probabilities, to within five sigma."""
    tolerance = 5 * np.sqrt(probability * (1 - probability) / N_STEPS)
    assert (np.abs(spikes.mean(axis=0) - probability) <= tolerance).all()


@pytest.mark.parametrize("max_rate", [1.0, 0.25])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_rates_are_proportional_to_levels(max_rate, dtype):
    spikes = encode(LEVELS, n_steps=N_STEPS, max_rate=max_rate, dtype=dtype)[0]
    assert set(np.unique(spikes)) == {0, 1}
    assert_rates(spikes, max_rate * LEVELS[0])


def test_steps_features_and_samples_are_independent():
    X = np.full((40, 25), 0.5) + np.linspace(0, 1e-9, 40)[:, None]
    spikes = encode(X, n_steps=50) - 0.5
    for axis in range(3):
        neighbours = np.take(spikes, range(1, spikes.shape[axis]), axis)
        correlation = 4 * np.mean(neighbours * np.take(spikes, range(spikes.shape[axis] - 1), axis))
        assert abs(correlation) < 5 / np.sqrt(neighbours.size)


def test_series_are_shown_step_by_step():
    X = np.array([[[0.0, 1.0], [1.0, 0.0]]])
    np.testing.assert_array_equal(encode(X, n_steps=1), X)
    np.testing.assert_array_equal(encode(X, n_steps=3), np.repeat(X, 3, axis=1))


def test_an_int_repeats_the_spikes_and_none_does_not():
    X = np.random.default_rng(0).random((5, 6))
    np.testing.assert_array_equal(encode(X), encode(X))
    assert (encode(X) != encode(X, random_state=1)).any()
    assert (encode(X, random_state=None) != encode(X, random_state=None)).any()
    fitted = PoissonEncoder().fit(X)
    np.testing.assert_array_equal(fitted.transform(X), fitted.transform(X))
    shared = np.random.RandomState(0)
    assert (encode(X, random_state=shared) != encode(X, random_state=shared)).any()


def test_the_global_generator_is_left_alone():
    before = check_random_state(None).get_state()[1].copy()
    encode(LEVELS)
    np.testing.assert_array_equal(check_random_state(None).get_state()[1], before)


def test_equal_samples_have_equal_spikes():
    X = np.array([[0.5, 0.0], [0.5, -0.0], [0.5, 1e-300]])
    spikes = encode(X, n_steps=64)
    np.testing.assert_array_equal(spikes[0], spikes[1])
    assert (spikes[0] != spikes[2]).any()


def test_spikingjelly_fires_at_the_same_rates():
    torch = pytest.importorskip("torch")
    encoding = pytest.importorskip("spikingjelly.activation_based.encoding")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        levels = torch.from_numpy(np.repeat(LEVELS, N_STEPS, axis=0))
        theirs = encoding.PoissonEncoder(step_mode="m")(levels).numpy()
    assert_rates(theirs, LEVELS[0])
    assert_rates(encode(LEVELS, n_steps=N_STEPS)[0], LEVELS[0])


def test_snntorch_fires_at_the_same_rates():
    torch = pytest.importorskip("torch")
    spikegen = pytest.importorskip("snntorch.spikegen")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = spikegen.rate(torch.from_numpy(LEVELS[0]), num_steps=N_STEPS).numpy()
    assert_rates(theirs, LEVELS[0])


@pytest.mark.parametrize(("name", "value"), [("max_rate", 0), ("max_rate", 1.1), ("n_steps", 0)])
def test_wrong_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of PoissonEncoder must be"):
        PoissonEncoder(**{name: value}).fit(LEVELS)

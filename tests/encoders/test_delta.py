from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skspike.encoders import DeltaEncoder

WAVES = np.sin(np.linspace(0, 9, 80))[:, None] * np.array([[1.0, -3.0]]) + np.array([5.0, 0.0])
WAVES = np.stack([WAVES, WAVES[::-1]])
# Levels and thresholds of a few bits, whose quotients are exact.
BITS = st.integers(0, 64).map(lambda k: k / 64)


def follow(levels, threshold, start, most):
    """Return (off, on) of each step for one signal, in plain Python."""
    reference = levels[0] if start is None else start
    spikes = []
    for level in levels:
        on = off = 0
        while level - reference >= threshold and on < most:
            reference, on = reference + threshold, on + 1
        while reference - level >= threshold and off < most:
            reference, off = reference - threshold, off + 1
        spikes.append([off, on])
    return spikes


@given(
    st.lists(BITS, min_size=1, max_size=30),
    st.sampled_from([1 / 64, 1 / 8, 3 / 16, 1 / 4, 1.0]),
    st.one_of(st.none(), BITS),
    st.one_of(st.none(), st.integers(1, 3)),
)
def test_spikes_follow_the_definition(levels, threshold, start, max_spikes):
    encoder = DeltaEncoder(threshold, start=start, max_spikes=max_spikes, limits=(0, 1))
    spikes = encoder.fit_transform([levels])[0]
    assert spikes.tolist() == follow(levels, threshold, start, max_spikes or 100)


@given(
    hnp.arrays(float, st.tuples(*[st.integers(1, 6)] * 3), elements=st.floats(-1e6, 1e6)),
    st.floats(0.004, 1),
    st.floats(0, 1),
)
def test_the_reconstruction_is_within_the_threshold(X, threshold, start):
    encoder = DeltaEncoder(threshold, start=start)
    spikes = encoder.fit_transform(X)
    low, high = encoder.limits_
    error = np.abs(encoder.inverse_transform(spikes) - X)
    width = high - low
    rounding = 1e-9 * np.maximum(np.abs(low), np.abs(high))
    assert (error[..., width > 0] <= (threshold * width + rounding)[width > 0]).all()


def test_many_steps_do_not_drift():
    X = np.random.default_rng(0).random((2, 20_000))
    encoder = DeltaEncoder(0.1, dtype="uint8", limits=(0, 1))
    back = encoder.inverse_transform(encoder.fit_transform(X))
    assert back.shape == X.shape
    assert np.abs(back - X).max() < 0.1 + 1e-9


def test_a_signal_that_stays_costs_nothing():
    spikes = DeltaEncoder(limits=(0, 1)).fit_transform(np.full((1, 50), 0.55))[0]
    assert spikes[0].tolist() == [0, 5]
    assert not spikes[1:].any()


def test_one_spike_a_step_makes_up_for_a_jump_later():
    X = [[0.0, 1.0, 1.0, 1.0, 1.0, 1.0]]
    spikes = DeltaEncoder(0.25, max_spikes=1).fit_transform(X)[0]
    assert spikes[:, 1].tolist() == [0, 1, 1, 1, 1, 0]


def test_channels_lie_side_by_side_and_have_names():
    encoder = DeltaEncoder(0.25, start=None).fit(WAVES)
    assert encoder.transform(WAVES).shape == (2, 80, 4)
    names = ["t0_x0_off", "t0_x0_on", "t0_x1_off", "t0_x1_on", "t1_x0_off"]
    assert encoder.get_feature_names_out()[:5].tolist() == names
    rising, falling = encoder.transform([WAVES[0], WAVES[0]])[0, :12, [1, 2]]
    assert rising.any()
    assert falling.any()
    table = DeltaEncoder().fit(WAVES[..., 0])
    assert table.get_feature_names_out()[:3].tolist() == ["x0_off", "x0_on", "x1_off"]
    assert table.get_feature_names_out(["s"] + ["r"] * 79)[0] == "s_off"


def test_snntorch_agrees_on_multiples_of_the_threshold():
    torch = pytest.importorskip("torch")
    spikegen = pytest.importorskip("snntorch.spikegen")
    X = np.random.default_rng(0).integers(0, 9, size=(50, 3)) / 8
    theirs = spikegen.delta(torch.from_numpy(X), threshold=1 / 8, off_spike=True).numpy()
    spikes = DeltaEncoder(1 / 8, limits=(0, 1)).fit_transform(X[None])[0]
    np.testing.assert_array_equal(np.sign(spikes[:, 1::2] - spikes[:, ::2]), theirs)
    still = spikegen.delta(torch.from_numpy(X), threshold=1 / 8, padding=True, off_spike=True)
    spikes = DeltaEncoder(1 / 8, start=None, limits=(0, 1)).fit_transform(X[None])[0]
    np.testing.assert_array_equal(np.sign(spikes[:, 1::2] - spikes[:, ::2]), still.numpy())


def test_a_slow_drift_fires_at_last():
    X = np.linspace(0, 1, 101)[None]
    assert DeltaEncoder(0.1).fit_transform(X)[..., 1].sum() in (9, 10)


def test_a_dtype_too_narrow_for_the_spikes_raises():
    message = (
        "The 'dtype' parameter of DeltaEncoder must hold 1001, the largest number of spikes in a "
        "step with threshold=0.001. Got 'uint8' instead."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        DeltaEncoder(0.001, dtype="uint8").fit(WAVES)
    DeltaEncoder(0.001, dtype="uint8", max_spikes=255).fit(WAVES)
    DeltaEncoder(0.001, dtype="int16").fit(WAVES)


def test_inverse_transform_says_what_it_needs():
    encoder = DeltaEncoder().fit(WAVES)
    with pytest.raises(ValueError, match=re.escape("must have shape (n_samples, 80, 4). Got")):
        encoder.inverse_transform(np.ones((2, 80, 3)))
    with pytest.raises(ValueError, match="'start' parameter of DeltaEncoder must be a number for"):
        DeltaEncoder(start=None).fit(WAVES).inverse_transform(np.ones((2, 80, 4)))


@pytest.mark.parametrize(
    ("name", "value"), [("threshold", 0), ("threshold", 2), ("start", 1.5), ("max_spikes", 0)]
)
def test_wrong_parameters_are_named(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of DeltaEncoder must be"):
        DeltaEncoder(**{name: value}).fit(WAVES)

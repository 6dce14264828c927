import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skspike import config_context
from skspike.encoders import TimeSurfaceEncoder
from tests.encoders.common import (
    RECORDINGS,
    WINDOWS,
    check_subsets,
    check_time_shift,
    draw_recordings,
    encode,
    recording,
    specify,
)


def hats(**parameters):
    return TimeSurfaceEncoder(**{"kind": "hats", "n_bins": 1, "surface_size": 3, **parameters})


ENCODERS = st.builds(
    hats,
    n_bins=st.integers(1, 3),
    tau=st.sampled_from([0.2, 7.0, 1000.0]),
    memory=st.sampled_from([1, 10, 1000]),
    cell_size=st.integers(1, 4),
    surface_size=st.sampled_from([1, 3, 5]),
    normalize=st.sampled_from(["cell", "polarity"]),
    split=st.sampled_from(["time", "count"]),
    window=WINDOWS,
    n_jobs=st.sampled_from([None, 2]),
)


def test_an_event_sees_what_its_neighbours_left():
    # Two cells of 4 x 4 in a row; in the left one an event at (1, 1), then one right of it.
    events = recording([0, 10, 20], x=[1, 2, 4], y=[1, 1, 1])
    histograms, _ = encode(hats(cell_size=4, tau=10.0), [events], size=(8, 4))
    assert histograms.shape == (1, 1, 2, 3, 6)
    # Of two events in the cell, the second saw the first at its left, one time constant old.
    expected = np.zeros((3, 6))
    expected[1, 0] = np.exp(-1) / 2
    np.testing.assert_allclose(histograms[0, 0, 1], expected, rtol=1e-6)
    assert not histograms[:, :, 0].any()


@pytest.mark.parametrize(("gap", "seen"), [(0, 0), (1, 1), (30, 1), (31, 0)])
def test_an_event_remembers_what_is_earlier_and_not_too_old(gap, seen):
    histograms, _ = encode(hats(memory=30, tau=1e9), [recording([0, gap])])
    assert histograms[0, 0, 1, 1, 1] == pytest.approx(seen / 2)


def test_bins_average_their_own_events_and_remember_all():
    events = recording([0, 1, 2, 3])
    histograms, _ = encode(hats(n_bins=2, split="count", tau=1e9), [events])
    assert histograms[0, :, 1, 1, 1].tolist() == pytest.approx([1 / 2, 5 / 2])


@pytest.mark.parametrize(
    ("normalize", "n_darker", "n_brighter"), [("cell", 5, 5), ("polarity", 2, 3)]
)
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_sums_are_divided_by_the_events_of_the_cell_or_of_the_polarity(
    normalize, n_darker, n_brighter, backend
):
    events = recording([0, 1, 2, 3, 4], p=[0, 1, 0, 1, 1])
    with config_context(backend=backend):
        histograms, _ = encode(hats(normalize=normalize, tau=1e12), [events])
    expected = [1 / n_darker, (1 + 2) / n_brighter]  # the second sees one, the third sees two
    assert histograms[0, 0, :, 1, 1].tolist() == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(RECORDINGS, ENCODERS, st.booleans())
def test_the_kernel_is_the_specification(recordings, encoder, ordered):
    assume(any(map(len, recordings)))
    if ordered:
        recordings = [r[np.argsort(r["t"], kind="stable")] for r in recordings]
    fast, lost = encode(encoder, recordings)
    exact, lost_by_specification = specify(encoder, recordings)
    np.testing.assert_allclose(fast, exact, rtol=1e-6, atol=1e-9)
    assert lost == lost_by_specification


@settings(max_examples=20, deadline=None)
@given(RECORDINGS, ENCODERS, st.randoms(use_true_random=False), st.integers(-(10**9), 10**9))
def test_recordings_are_encoded_one_by_one_whenever_they_begin(recordings, encoder, random, shift):
    assume(any(map(len, recordings)))
    check_time_shift(encoder, recordings, shift)
    check_subsets(encoder, recordings, random.sample(range(len(recordings)), len(recordings)))


@pytest.mark.parametrize("memory", [50, 10**6])
@pytest.mark.parametrize("tau", [3.0, 100.0, 1e6])
def test_a_long_memory_keeps_its_digits(tau, memory):
    recordings = draw_recordings(1, duration=20_000)
    encoder = hats(tau=tau, memory=memory, cell_size=4, dtype="float64")
    fast, _ = encode(encoder, recordings)
    exact, _ = specify(encoder, recordings)
    np.testing.assert_allclose(fast, exact, rtol=1e-10, atol=1e-13)


def test_bands_of_cells_change_nothing(monkeypatch):
    from skspike.encoders import _bins_numba

    monkeypatch.setattr(_bins_numba, "GRAIN", 0)
    recordings = draw_recordings(1)
    alone, _ = encode(hats(n_bins=2, tau=100.0, cell_size=2, n_jobs=1), recordings)
    shared, _ = encode(hats(n_bins=2, tau=100.0, cell_size=2, n_jobs=4), recordings)
    np.testing.assert_array_equal(shared, alone)


def test_tonic_also_counts_the_event_itself_and_divides_by_its_polarity():
    transforms = pytest.importorskip("tonic.transforms")
    events = draw_recordings(1)[0]
    theirs = transforms.ToAveragedTimesurface(
        sensor_size=(7, 5, 2), cell_size=3, surface_size=3, time_window=150, tau=100.0
    )(events)
    ours, _ = encode(hats(cell_size=3, memory=150, tau=100.0, normalize="polarity"), [events])
    cells = ours[0, 0].reshape(2, 2, 3, 3, 3).transpose(1, 3, 0, 2, 4).reshape(-1, 2, 3, 3)
    assert cells.shape == theirs.shape
    cells[:, :, 1, 1] += 1  # every cell has events of both polarities
    np.testing.assert_allclose(cells, theirs, rtol=1e-5)

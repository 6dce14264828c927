"""What the tests of the event encoders share: small recordings, and both backends at once."""

from __future__ import annotations

import re
import warnings

import numpy as np
from hypothesis import strategies as st

from skspike import EventCollection, config_context
from skspike._events import EVENT_DTYPE
from skspike.exceptions import EventLossWarning

WIDTH, HEIGHT = 7, 5

EVENTS = st.lists(
    st.tuples(
        st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(-5, 40), st.booleans()
    ),
    max_size=30,
).map(lambda events: np.array(events, EVENT_DTYPE))
RECORDINGS = st.lists(EVENTS, min_size=1, max_size=4)
WINDOWS = st.sampled_from(["recording", "fit", (0, 20), (-100, 100), (39, 41)])


def recording(t, x=0, y=0, p=True):
    """Make a recording of the columns."""
    events = np.zeros(len(t), EVENT_DTYPE)
    events["t"], events["x"], events["y"], events["p"] = t, x, y, p
    return events


def draw_recordings(n=3, n_events=400, size=(WIDTH, HEIGHT), duration=2000, seed=0):
    """Draw recordings of events anywhere and at any time, in order."""
    generator = np.random.default_rng(seed)
    return [
        recording(
            np.sort(generator.choice(duration, n_events, replace=False)),
            *(generator.integers(0, side, n_events) for side in size),
            generator.random(n_events) < 0.5,
        )
        for _ in range(n)
    ]


def encode(encoder, recordings, size=(WIDTH, HEIGHT)):
    """Return what an encoder makes of recordings, and how many events it says it left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoded = encoder.set_params(sensor_size=size).fit_transform(recordings)
    assert all(issubclass(warning.category, EventLossWarning) for warning in caught)
    return encoded, sum(int(re.search(r"left out (\d+) of", str(w.message))[1]) for w in caught)


def specify(encoder, recordings, size=(WIDTH, HEIGHT)):
    """Return the same by the specification."""
    with config_context(backend="reference"):
        return encode(encoder, recordings, size)


def check_subsets(encoder, recordings, order):
    """Recordings are encoded one by one: in another order, alone, and together with others."""
    X = EventCollection(recordings, sensor_size=(WIDTH, HEIGHT))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EventLossWarning)
        encoded = encoder.fit(X).transform(X)
        np.testing.assert_array_equal(encoder.transform(X[order]), encoded[order])
        joined = EventCollection.concatenate([X[order], X])
        np.testing.assert_array_equal(
            encoder.transform(joined), np.concatenate([encoded[order], encoded])
        )


def check_time_shift(encoder, recordings, shift):
    """Recordings that begin later are encoded the same."""
    later = [r.copy() for r in recordings]
    for r in later:
        r["t"] += shift
    window = encoder.window
    moved = window if isinstance(window, str) else tuple(edge + shift for edge in window)
    encoded, lost = encode(encoder, recordings)
    encoded_later, lost_later = encode(encoder.set_params(window=moved), later)
    np.testing.assert_array_equal(encoded_later, encoded)
    assert lost_later == lost

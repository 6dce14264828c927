import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

from skspike import FrameEncoder, config_context
from skspike._events import EVENT_DTYPE
from skspike.encoders import _base, _frames_numba
from skspike.exceptions import EventLossWarning


def recording(t, x=0):
    events = np.zeros(len(t), EVENT_DTYPE)
    events["t"], events["x"] = t, x
    return events


def test_an_encoder_names_itself_in_what_it_says():
    class MyEncoder(FrameEncoder):
        pass

    with pytest.raises(TypeError, match="X of MyEncoder must be an EventCollection"):
        MyEncoder().fit([[1, 2]])
    with pytest.raises(ValueError, match="The 'window' parameter of MyEncoder must be a pair"):
        MyEncoder(window=(3, 3)).fit([recording([1])])
    with pytest.warns(EventLossWarning, match="MyEncoder left out 1 of 2 events, in 1 of 1"):
        MyEncoder(window=(0, 2)).fit_transform([recording([1, 2])])


def test_warnings_point_at_the_line_that_called_transform():
    encoder = FrameEncoder(window=(0, 2)).fit([recording([1])])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder.transform([recording([1, 2])])
    assert caught[0].filename == __file__


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_only_what_the_kernel_declines_is_encoded_by_the_specification(backend, monkeypatch):
    specified = []

    class Spied(FrameEncoder):
        def _encode(self, events, plan):
            specified.append(len(events))
            return super()._encode(events, plan)

    recordings = [recording([1, 2]), recording([3, 2, 1]), recording([4] * 300)]
    with config_context(backend=backend), warnings.catch_warnings():
        warnings.simplefilter("ignore", EventLossWarning)
        frames = Spied(n_bins=1, dtype="uint8").fit_transform(recordings)
    assert frames.sum(axis=(1, 2, 3, 4)).tolist() == [2, 3, 255]
    # Out of order is sorted for the kernel; a count of 300 is more than uint8 holds.
    assert specified == ([300] if backend == "auto" else [2, 3, 300])


def test_the_kernel_is_asked_once_for_all_recordings(monkeypatch):
    asked = []
    fast = _frames_numba.encode_collection

    def spy(X, *rest):
        asked.append(len(X))
        return fast(X, *rest)

    monkeypatch.setattr(_frames_numba, "encode_collection", spy)
    FrameEncoder(n_bins=1).fit_transform([recording([1, 2]), recording([3, 2]), recording([5])])
    assert asked == [3, 1]


def test_the_base_leaves_the_rest_to_its_subclasses():
    class Bare(_base.EventEncoder, TransformerMixin, BaseEstimator):
        pass

    encoder = Bare()
    for call in (
        encoder._plan,
        encoder._capacity,
        lambda: encoder._encode(None, None),
        lambda: encoder._encode_fast(None, None, None, None, 0, 1),
    ):
        with pytest.raises(NotImplementedError):
            call()

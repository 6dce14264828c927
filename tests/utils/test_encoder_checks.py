from __future__ import annotations

import warnings

import numpy as np
import pytest

from skspike.exceptions import EventLossWarning
from tests.utils.planted import TinyEncoder, TinyFilter, failure


class DropsTheLastEvent(TinyEncoder):
    def transform(self, X):
        return super().transform([r[: len(r) - 1] for r in X])


class DropsTheRemainder(TinyEncoder):
    def transform(self, X):
        return super().transform([r[: len(r) // self.n_bins * self.n_bins] for r in X])


class LosesEqualTimes(TinyEncoder):
    def transform(self, X):
        return super().transform([r if np.ptp(r["t"]) else r[:0] for r in X if len(r)])


class LosesWhatIsOutOfOrder(TinyEncoder):
    def transform(self, X):
        return super().transform([r if (np.diff(r["t"]) >= 0).all() else r[:0] for r in X])


class ClipsSilently(TinyEncoder):
    def narrow(self, counts):
        return np.minimum(counts, np.iinfo(self.dtype).max).astype(self.dtype)


class WrapsAround(TinyEncoder):
    def narrow(self, counts):
        return counts.astype(np.int64).astype(self.dtype)


class WarnsOfTooFew(TinyEncoder):
    def narrow(self, counts):
        warnings.warn("1 event is left out.", EventLossWarning, stacklevel=2)
        return counts.astype(self.dtype)


class WarnsWithoutANumber(TinyEncoder):
    def narrow(self, counts):
        warnings.warn("Events were clipped.", EventLossWarning, stacklevel=2)
        return np.minimum(counts, 100).astype(self.dtype)


class MovesEventsToTheNext(TinyEncoder):
    def transform(self, X):
        return np.roll(super().transform(X), 1, axis=0)


class CountsAsSigned(TinyEncoder):
    def __event_claims__(self):
        return {"signed_counts"}


class ReturnsAList(TinyEncoder):
    def transform(self, X):
        return list(super().transform(X))


class JoinsRecordings(TinyEncoder):
    def transform(self, X):
        return super().transform(X).sum(axis=0, keepdims=True)


class DividesByZero(TinyEncoder):
    def transform(self, X):
        out = super().transform(X)
        with np.errstate(all="ignore"):
            return out / out.sum(axis=1, keepdims=True)


class FitsOtherwise(TinyEncoder):
    def fit_transform(self, X, y=None):
        return self.fit(X).transform(X) / 2


class AlwaysFloat64(TinyEncoder):
    def narrow(self, counts):
        return counts


class NamesTooFew(TinyEncoder):
    def get_feature_names_out(self, input_features=None):
        return super().get_feature_names_out()[1:]


class NamesTwice(TinyEncoder):
    def get_feature_names_out(self, input_features=None):
        names = super().get_feature_names_out()
        names[1] = names[0]
        return names


class InventsEvents(TinyFilter):
    def keep(self, events):
        events = events.copy()
        events["x"][1:] = events["x"][:-1]
        return events


class RepeatsEvents(TinyFilter):
    def keep(self, events):
        return np.concatenate([events, events[:1]])


LOST = "check_no_event_is_lost_silently"
FAULTS = {
    DropsTheLastEvent: LOST,
    DropsTheRemainder: LOST,
    LosesEqualTimes: LOST,
    LosesWhatIsOutOfOrder: LOST,
    ClipsSilently: LOST,
    WrapsAround: LOST,
    WarnsOfTooFew: LOST,
    WarnsWithoutANumber: LOST,
    MovesEventsToTheNext: LOST,
    CountsAsSigned: LOST,
    ReturnsAList: "check_one_output_for_each_recording",
    JoinsRecordings: "check_one_output_for_each_recording",
    DividesByZero: "check_one_output_for_each_recording",
    FitsOtherwise: "check_fit_transform",
    AlwaysFloat64: "check_dtype",
    NamesTooFew: "check_feature_names",
    NamesTwice: "check_feature_names",
    InventsEvents: "check_only_events_of_the_input",
    RepeatsEvents: "check_only_events_of_the_input",
}
NARROW = (ClipsSilently, WrapsAround)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault):
    estimator = fault(dtype="uint8") if fault in NARROW else fault()
    error = failure(estimator, FAULTS[fault])
    assert isinstance(error, AssertionError)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_counts_may_be_narrow_if_their_loss_is_told(dtype):
    assert failure(TinyEncoder(dtype=dtype), LOST) is None


def test_the_message_names_the_recording_and_the_count():
    error = failure(DropsTheLastEvent(), LOST)
    assert "DropsTheLastEvent.transform must sum up to" in str(error)
    assert "recording 0 of 12, or warn of a loss. Got" in str(error)

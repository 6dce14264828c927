from __future__ import annotations

import numpy as np
import pytest

from skspike import EventCollection
from tests.utils.planted import TinyEncoder, TinyFilter, as_collection, failure


class CountsListsTwice(TinyEncoder):
    def transform(self, X):
        return super().transform(X) * (1 if isinstance(X, EventCollection) else 2)


class ReadsFieldsByPosition(TinyEncoder):
    def fit(self, X, y=None):
        return super().fit(self.by_position(X))

    def transform(self, X):
        return super().transform(self.by_position(X))

    def by_position(self, X):
        recordings = [r.copy() for r in X]
        for r in recordings:
            r.dtype.names = ("x", "y", "t", "p")
        return recordings


class SortsInPlace(TinyEncoder):
    def transform(self, X):
        if not isinstance(X, EventCollection):
            for recording in X:
                recording.sort(order="t")
        return super().transform(X)


class CentresInPlaceInFit(TinyEncoder):
    def fit(self, X, y=None):
        super().fit(X)
        for recording in X:
            if recording.flags.writeable:
                recording["t"] -= recording["t"].min(initial=2**61)
        return self


class NeedsToWrite(TinyEncoder):
    def transform(self, X):
        for recording in X:
            recording.flags.writeable = True
            recording["t"] += 0
        return super().transform(X)


class DividesByTheBatch(TinyEncoder):
    def transform(self, X):
        counts = super().transform(X)
        return counts / max(counts.max(initial=0), 1)


class PadsToTheLongest(TinyEncoder):
    def transform(self, X):
        out = super().transform(X)
        return out + max(map(len, as_collection(X)), default=0)


class AddsThePlaceInTheBatch(TinyEncoder):
    def transform(self, X):
        out = super().transform(X)
        return out + np.arange(len(out)).reshape(-1, 1, 1, 1) % 2


class IgnoresTheOrderOfEvents(TinyEncoder):
    def bins(self, events):
        return np.arange(len(events)) * self.n_bins // max(len(events), 1)


class FailsOnEqualTimes(TinyEncoder):
    def bins(self, events):
        t = events["t"] - events["t"].min(initial=2**61)
        duration = int(t.max(initial=0)) if len(t) > 1 else 1
        if duration == 0:
            raise IndexError("index 0 is out of bounds")
        return np.minimum(t * self.n_bins // duration, self.n_bins - 1)


class NeedsTwoEvents(TinyEncoder):
    def bins(self, events):
        if len(events) == 1:
            events["t"][1]
        return super().bins(events)


class FailsOnEmpty(TinyEncoder):
    def bins(self, events):
        events["t"][0]
        return super().bins(events)


class AveragesNothing(TinyEncoder):
    def transform(self, X):
        out = super().transform(X)
        with np.errstate(invalid="ignore"):
            return out / out.sum(axis=(1, 2, 3), keepdims=True)


class SkipsEmpty(TinyEncoder):
    def transform(self, X):
        return super().transform([r for r in as_collection(X) if len(r)])


class NeedsARecording(TinyEncoder):
    def transform(self, X):
        as_collection(X)[0]
        return super().transform(X)


class ForgetsTheShapeOfNothing(TinyEncoder):
    def transform(self, X):
        return super().transform(X) if len(X) else np.empty(0, self.dtype)


class GuessesPolarity(TinyEncoder):
    def fit(self, X, y=None):
        return super().fit(self.complete(X))

    def transform(self, X):
        return super().transform(self.complete(X))

    def complete(self, X):
        if isinstance(X, EventCollection) or not len(X) or "p" in (X[0].dtype.names or ()):
            return X
        fields = [*X[0].dtype.descr, ("p", "?")]
        whole = [np.zeros(len(r), fields) for r in X]
        for new, old in zip(whole, X, strict=True):
            for name in old.dtype.names:
                new[name] = old[name]
        return whole


class TakesNaNForZero(TinyEncoder):
    def fit(self, X, y=None):
        return super().fit(self.clean(X))

    def transform(self, X):
        return super().transform(self.clean(X))

    def clean(self, X):
        if isinstance(X, EventCollection) or not len(X):
            return X
        X = [r.copy() for r in X]
        for r in X:
            for name in r.dtype.names or ():
                if r.dtype[name].kind == "f":
                    r[name] = np.nan_to_num(r[name], posinf=0)
        return X


class ClipsToTheSensor(TinyEncoder):
    def transform(self, X):
        width, height = self.sensor_size_
        X = [r.copy() for r in as_collection(X)]
        for r in X:
            r["x"], r["y"] = np.minimum(r["x"], width - 1), np.minimum(r["y"], height - 1)
        return super().transform(X)


class ChecksNoSensor(TinyEncoder):
    def check_sensor(self, X):
        pass  # numpy's IndexError comes instead


class LearnsTheSensorAgain(TinyEncoder):
    def transform(self, X):
        self.sensor_size_ = as_collection(X).sensor_size
        return super().transform(X)


class BinsAbsoluteTime(TinyEncoder):
    def bins(self, events):
        return events["t"] // 10_000 % self.n_bins


class LosesPrecision(TinyEncoder):
    def bins(self, events):
        t = events["t"].astype(np.float32)
        t -= t.min(initial=np.inf)
        return (t * self.n_bins // (t.max(initial=0) + 1)).astype(int)


class StartsAtZero(TinyFilter):
    def keep(self, events):
        events = events.copy()
        events["t"] -= events["t"].min(initial=2**61)
        return events


FAULTS = {
    CountsListsTwice: "check_kinds_of_input",
    ReadsFieldsByPosition: "check_fields_of_other_types",
    SortsInPlace: "check_input_is_unchanged",
    CentresInPlaceInFit: "check_input_is_unchanged",
    NeedsToWrite: "check_read_only_and_mapped_input",
    DividesByTheBatch: "check_subset_invariance",
    PadsToTheLongest: "check_subset_invariance",
    AddsThePlaceInTheBatch: "check_order_invariance",
    IgnoresTheOrderOfEvents: "check_events_out_of_order",
    FailsOnEqualTimes: "check_equal_times",
    NeedsTwoEvents: "check_single_event",
    FailsOnEmpty: "check_empty_recording",
    AveragesNothing: "check_empty_recording",
    SkipsEmpty: "check_empty_recording",
    NeedsARecording: "check_empty_collection",
    ForgetsTheShapeOfNothing: "check_empty_collection",
    GuessesPolarity: "check_wrong_fields_are_refused",
    TakesNaNForZero: "check_nan_is_refused",
    ClipsToTheSensor: "check_events_off_the_sensor_are_told",
    ChecksNoSensor: "check_events_off_the_sensor_are_told",
    LearnsTheSensorAgain: "check_sensor_size_is_that_of_fit",
    BinsAbsoluteTime: "check_time_shift",
    LosesPrecision: "check_time_shift",
    StartsAtZero: "check_time_shift",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault):
    assert failure(fault(), FAULTS[fault]) is not None

"""Checks of what comes in: every kind of collection, hard recordings, wrong ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from .._events import EventCollection
from ._harness import (
    METHODS,
    answers,
    assert_same,
    assert_same_answers,
    count_lost,
    fit,
    fresh,
    in_order,
    must_refuse,
    name_of,
    quietly,
    refuses,
    require,
    take,
)
from ._samples import (
    SENSOR_SIZE,
    empty,
    equal_times,
    make_collection,
    make_recordings,
    shifted,
    shuffled,
    single,
)


def check_kinds_of_input(estimator):
    """A list, a tuple, an object array and a collection of the same recordings are equal."""
    X, y = make_collection()
    recordings = make_recordings()[0]
    expected = answers(fit(estimator, X, y), X)
    for form in (recordings, tuple(recordings), np.asarray(X), X[::-1][::-1]):
        got = answers(fit(estimator, form, y), form)
        assert_same_answers(got, expected, f"of recordings given as {type(form).__name__}")


def check_fields_of_other_types(estimator):
    """Fields may come in any order and numeric type, with polarities 0 and 1 or -1 and 1."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    expected = answers(model, X)
    tonic = [_with_fields(r, "xypt", int) for r in X]
    assert_same_answers(answers(model, tonic), expected, "of fields of 64 bits in another order")
    floats = [_with_fields(r, "tpxy", float) for r in X]
    for r in floats:
        r["p"] = 2 * r["p"] - 1
    assert_same_answers(answers(model, floats), expected, "of fields of floats, p of -1 and 1")


def _with_fields(recording: np.ndarray, fields: str, kind: type) -> np.ndarray:
    """Return a recording with its fields in another order, all of one type."""
    copy = np.empty(len(recording), [(field, kind) for field in fields])
    for field in fields:
        copy[field] = recording[field]
    return copy


def check_read_only_and_mapped_input(estimator):
    """Recordings may be read-only, or lie in a file mapped into memory."""
    X, y = make_collection()
    expected = answers(fit(estimator, X, y), X)
    recordings = make_recordings()[0]
    for recording in recordings:
        recording.flags.writeable = False
    got = answers(fit(estimator, recordings, y), recordings)
    assert_same_answers(got, expected, "of read-only recordings")
    with tempfile.TemporaryDirectory() as folder:
        X.save(Path(folder, "events"))
        mapped = EventCollection.open(Path(folder, "events"))
        got = answers(fit(estimator, mapped, y), mapped)
        assert_same_answers(got, expected, "of a memory-mapped collection")
        del mapped, got


def check_input_is_unchanged(estimator):
    """Neither `fit` nor a method changes the recordings, in order of time or not."""
    name = name_of(estimator)
    for recordings in (make_recordings()[0], shuffled(make_recordings()[0])):
        y = make_recordings()[1]
        before = [recording.tobytes() for recording in recordings]
        model = fit(estimator, recordings, y)
        now = [recording.tobytes() for recording in recordings]
        require(now == before, f"{name}.fit changes the recordings that it is given.")
        answers(model, recordings)
        now = [recording.tobytes() for recording in recordings]
        require(now == before, f"{name} changes the recordings that it is asked about.")


def check_subset_invariance(estimator):
    """A recording alone, and any batch, has the answer that it has among all."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    expected = answers(model, X)
    for rows in (*np.arange(len(X))[:, None], np.arange(3, 8), np.array([5, 0, 0, 9])):
        rows_of = {method: take(output, rows) for method, output in expected.items()}
        assert_same_answers(answers(model, X[rows]), rows_of, f"of recordings {rows.tolist()}")


def check_order_invariance(estimator):
    """Recordings in another order have their answers in that order."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    order = np.random.default_rng(0).permutation(len(X))
    expected = {method: take(output, order) for method, output in answers(model, X).items()}
    assert_same_answers(answers(model, X[order]), expected, "of recordings in another order")


def check_events_out_of_order(estimator):
    """Events in any order give what they give in order of time, or are refused."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    expected = answers(model, X)
    recordings = shuffled(X)
    what = "recordings whose events are out of order"
    refused, got = refuses(lambda: answers(model, recordings), what)
    if not refused:
        for method, output in expected.items():
            assert_same(in_order(got[method]), in_order(output), f"{method} of {what}")


def check_equal_times(estimator):
    """A recording whose events all have the same time is answered."""
    _is_answered(estimator, equal_times(), "a recording with equal times")


def check_single_event(estimator):
    """A recording of a single event is answered."""
    _is_answered(estimator, single(), "a recording of one event")


def check_empty_recording(estimator):
    """A recording without events is answered."""
    _is_answered(estimator, empty(), "a recording without events")


def _is_answered(estimator, recording: np.ndarray, what: str) -> None:
    """Raise unless a hard recording is answered, alone, among others, and in fit."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    expected = answers(model, X)
    mixed = EventCollection([*X[:4], recording, *X[4:]], sensor_size=SENSOR_SIZE)
    alone = EventCollection([recording], sensor_size=SENSOR_SIZE)
    refused, got = refuses(lambda: answers(model, mixed), what)
    require(not refused, f"{name_of(estimator)} must have an answer for {what}.")
    for method, output in got.items():
        n = len(output)
        require(n == len(mixed), f"{method} of {len(mixed)} with {what} gives {n} answers.")
    others = np.delete(np.arange(len(mixed)), 4)
    rest = {method: take(output, others) for method, output in got.items()}
    assert_same_answers(rest, expected, f"beside {what}")
    itself = {method: take(output, [4]) for method, output in got.items()}
    assert_same_answers(answers(model, alone), itself, f"of {what}, alone")
    for method, output in got.items():
        require(_is_finite(output), f"{method} of {what} must be finite.")
    quietly(fresh(estimator).fit, mixed, np.insert(y, 4, 0))


def _is_finite(output) -> bool:
    """Tell whether an output holds no NaN and no infinity."""
    if isinstance(output, EventCollection) or np.asarray(output).dtype.kind not in "fc":
        return True
    return bool(np.isfinite(output).all())


def check_empty_collection(estimator):
    """No recordings give no answers of the usual shape, or are refused."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    for nothing in (X[:0], []):
        refuses(lambda n=nothing: fresh(estimator).fit(n, y[:0]), "fit to no recordings")
        for method, output in answers(model, X).items():
            what = f"{method} of no recordings"
            refused, got = refuses(lambda m=method, n=nothing: getattr(model, m)(n), what)
            if not refused:
                assert_same(got, take(output, slice(0)), what)


def check_wrong_fields_are_refused(estimator):
    """Recordings that lack a field, or hold no numbers in one, are refused."""
    X, y = make_collection()
    lacking = [recording[["x", "y", "t"]] for recording in X]
    must_refuse(estimator, lacking, y, X, "recordings without the field 'p'")
    names = [("x", "<i2"), ("y", "<i2"), ("t", "U8"), ("p", "?")]
    text = [recording.astype(names) for recording in X]
    must_refuse(estimator, text, y, X, "recordings with texts in the field 't'")


def check_nan_is_refused(estimator):
    """Recordings with NaN or infinity in a field are refused."""
    X, y = make_collection()
    for field, value in (("t", np.nan), ("x", np.nan), ("t", np.inf)):
        recordings = [_with_fields(r, "xytp", float) for r in X]
        recordings[3][field][5] = value
        must_refuse(estimator, recordings, y, X, f"recordings with {value} in the field {field!r}")


def check_events_off_the_sensor_are_told(estimator):
    """An event far off the sensor that was seen in fit is refused, or told by a warning."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    recordings = make_recordings()[0]
    recordings[2]["x"][7], recordings[2]["p"][7] = 30_000, True
    for method in METHODS:
        if hasattr(model, method):
            what = f"{method} of an event at x=30000 on a sensor of size {SENSOR_SIZE}"
            call = getattr(model, method)
            refused, result = refuses(lambda c=call: count_lost(c, recordings), what)
            told = refused or result[1] > 0
            require(told, f"{what} must raise a ValueError or warn of a lost event.")


def check_sensor_size_is_that_of_fit(estimator):
    """Recordings that reach less far on the sensor than those of fit are answered all the same."""
    X, y = make_collection()
    model = fit(estimator, X, y)
    inner = [recording[recording["x"] < SENSOR_SIZE[0] - 1] for recording in X]
    inner = [recording[recording["y"] < SENSOR_SIZE[1] - 1] for recording in inner]
    known = EventCollection(inner, sensor_size=SENSOR_SIZE)
    assert_same_answers(answers(model, inner), answers(model, known), "of a list on less sensor")


def check_time_shift(estimator):
    """Later recordings give the same answers; events come out as much later. If claimed."""
    X, y = make_collection()
    expected = answers(fit(estimator, X, y), X)
    for by in (-123_456, 10**12):
        later = EventCollection(shifted(X, by), sensor_size=SENSOR_SIZE)
        got = answers(fit(estimator, X, y), later)
        for method, output in got.items():
            if isinstance(output, EventCollection):
                output = EventCollection(shifted(output, -by), sensor_size=output.sensor_size)
            assert_same(output, expected[method], f"{method} of recordings {by} µs later")

from __future__ import annotations

import re
from contextlib import nullcontext

import pytest
from sklearn.utils import get_tags

import skspike.encoders
from skspike import FrameEncoder, SMAClassifier, SpikingSSMClassifier, config_context
from skspike.exceptions import EventLossWarning
from skspike.utils._samples import make_collection
from skspike.utils.estimator_checks import (
    check_event_estimator,
    event_checks_generator,
    parametrize_with_event_checks,
)
from tests.house import ROOT
from tests.utils.planted import TinyClassifier, TinyEncoder, TinyFilter

TINY = [TinyEncoder(), TinyFilter(), TinyClassifier()]
# Encoders whose input are no recordings, beside those that take tables.
NOT_OF_EVENTS = {"ToTabular"}


def keep_brighter(events):
    return events[events["p"] == 1]


# Constructor arguments to check an encoder with, where they are not the defaults.
SETTINGS = {
    "FrameEncoder": [
        {"n_bins": 2},
        {"n_bins": 2, "split": "time", "window": "fit", "values": "signed"},
    ],
    "EventImageEncoder": [{}, {"channels": ("count",), "n_jobs": 2}],
    "VoxelEncoder": [{"n_bins": 3}, {"n_bins": 2, "polarity": "separate", "window": "fit"}],
    "TimeSurfaceEncoder": [{"n_bins": 2}, {"n_bins": 2, "kind": "hats", "n_jobs": 2}],
    "Crop": [{}, {"x": (4, 12), "t": (5_000, 30_000), "clock": "recording"}],
    "HotPixelFilter": [{}, {"ratio": 1.2, "min_events": 2}],
    "TonicTransformer": [{"tonic_transform": keep_brighter}],
}


def event_transformers() -> list:
    """Return every transformer of recordings that the package exports."""
    found = []
    for name in skspike.encoders.__all__:
        cls = getattr(skspike.encoders, name)
        if hasattr(cls, "transform") and name not in NOT_OF_EVENTS:
            found += [cls(**settings) for settings in SETTINGS.get(name, [{}])]
    return [encoder for encoder in found if not get_tags(encoder).input_tags.two_d_array]


ESTIMATORS = [
    *event_transformers(),
    SMAClassifier(width=4, scales=(1, 3), max_epochs=1, n_steps=3, device="cpu", batch_size=16),
    SpikingSSMClassifier(width=8, n_layers=1, d_state=4, max_epochs=1, n_steps=3, device="cpu"),
]


@parametrize_with_event_checks([*ESTIMATORS, *TINY])
def test_event_checks(estimator, check):
    # every dtype would be compiled: that the kernels give the same is for their own tests
    uncompiled = check.__name__ == "check_dtype"
    with config_context(backend="reference") if uncompiled else nullcontext():
        check(estimator)


def test_names_of_tests_are_the_same_in_every_process():
    class Holder(TinyEncoder):
        def __repr__(self):
            return f"Holder({object()})"

    mark = parametrize_with_event_checks([Holder()])
    assert {case.id.partition("-")[0] for case in mark.args[1]} == {"Holder(<object object>)"}


def names(estimator) -> list[str]:
    return [check.__name__ for check in event_checks_generator(estimator)]


def test_the_checks_are_not_few():
    assert len(names(FrameEncoder())) >= 33
    assert len(names(SMAClassifier())) >= 32
    assert {type(e).__name__ for e in ESTIMATORS} >= {"FrameEncoder", "SMAClassifier"}


def test_claims_and_parameters_choose_the_checks():
    assert "check_no_event_is_lost_silently" in names(FrameEncoder())
    assert "check_no_event_is_lost_silently" in names(FrameEncoder(values="signed"))
    assert "check_no_event_is_lost_silently" not in names(FrameEncoder(values="binary"))
    assert "check_time_shift" in names(FrameEncoder())
    assert "check_time_shift" not in names(FrameEncoder(window=(0, 10)))
    assert "check_n_jobs" not in names(TinyFilter())
    assert "check_only_events_of_the_input" in names(TinyFilter())
    assert "check_labels" in names(TinyClassifier())
    for estimator in (*ESTIMATORS, *TINY):
        assert len(set(names(estimator))) == len(names(estimator))


def test_results_tell_what_happened():
    class Broken(TinyFilter):
        def keep(self, events):
            return events[len(events) :][0]

    reasons = {"check_pickle": "a class inside a function cannot be pickled"}
    results = check_event_estimator(Broken(), expected_failed_checks=reasons, on_fail=None)
    status = {result["check_name"]: result["status"] for result in results}
    assert list(status) == names(Broken())
    assert status["check_pickle"] == "xfail"
    assert status["check_parameters"] == "passed"
    assert status["check_single_event"] == "failed"
    for result in results:
        assert (result["exception"] is None) == (result["status"] == "passed")
    with pytest.raises(IndexError):
        check_event_estimator(Broken())


def test_expected_failures_are_marked():
    mark = parametrize_with_event_checks(
        TINY, expected_failed_checks=lambda e: {"check_pickle": "why"} if e is TINY[0] else None
    ).mark
    assert mark.args[0] == ("estimator", "check")
    cases = mark.args[1]
    assert len(cases) == sum(len(names(estimator)) for estimator in TINY)
    assert len({case.id for case in cases}) == len(cases)
    marked = [case for case in cases if case.marks]
    assert [case.id for case in marked] == ["TinyEncoder()-check_pickle"]
    assert marked[0].marks[0].kwargs == {"reason": "why"}


def test_the_page_lists_the_checks():
    page = (ROOT / "docs" / "developers" / "event_checks.md").read_text()
    listed = set(re.findall(r"^\| `(check_\w+)` \|", page, flags=re.MULTILINE))
    generated = {name for estimator in (*ESTIMATORS, *TINY) for name in names(estimator)}
    assert listed == generated


def test_losses_of_ours_are_no_error_inside_a_check():
    encoder = FrameEncoder(2, window=(10_000, 20_000))
    with pytest.warns(EventLossWarning):
        encoder.fit_transform(make_collection(2)[0])
    check_event_estimator(encoder)

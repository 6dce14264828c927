from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skspike import EventCollection, FrameEncoder, config_context
from skspike._encoded import EncodedRows
from skspike._encoded._workers import WorkerPool
from skspike.estimators._encoded import StreamedRows, open_rows
from skspike.estimators._input import check_X
from skspike.exceptions import EventLossWarning, ProcessLostError
from tests._encoded.test_workers import is_alive
from tests.counting import CountingEncoder, encoded
from tests.estimators.common import assert_same_weights, quick, recordings, weights

SETTINGS = {"n_steps": 3, "batch_size": 4, "max_epochs": 1}


@pytest.fixture(scope="module")
def data():
    events, y = recordings(n=24)
    return EventCollection(events), y


@pytest.fixture
def pools(monkeypatch):
    """Return the process numbers of all workers that are started."""
    pids = []
    start = WorkerPool._start

    def spy(self):
        before = len(self._workers)
        start(self)
        pids.extend(worker.pid for worker in self._workers[before:])

    monkeypatch.setattr(WorkerPool, "_start", spy)
    return pids


@pytest.fixture
def plain():
    """Encode without compiled code, so that processes are sooner ready."""
    with config_context(backend="reference"):
        yield


def rows_of(X, **params) -> EncodedRows:
    encoder = FrameEncoder(3, **params).fit(X)
    return EncodedRows(encoder, X, owner="Owner", check=None)


# --- The same fit, whichever way the rows come ---


@pytest.mark.usefixtures("plain")
def test_a_fit_does_not_depend_on_where_the_rows_are(data, tmp_path, pools):
    X, y = data
    weight = np.arange(24) % 4
    settings = {**SETTINGS, "max_epochs": 2, "early_stopping": True, "validation_fraction": 0.3}
    eager = quick(**settings).fit(X, y, sample_weight=weight)
    expected = eager.predict_proba_over_time(X)
    X.save(tmp_path / "X")
    mapped = EventCollection.open(tmp_path / "X")
    for events, params in [
        (X, {"memory_limit": 0}),
        (mapped, {"memory_limit": 0, "n_jobs": 2}),
        (X[::-1], {"memory_limit": 0, "cache": str(tmp_path / "a")}),
        (X, {"cache": tmp_path / "a"}),
        (mapped, {}),
        (list(X), {"memory_limit": 1}),
    ]:
        order = slice(None, None, -1 if events is not X and "cache" in params else None)
        lazy = quick(**settings, **params).fit(events, y[order], sample_weight=weight[order])
        assert_same_weights(weights(lazy), weights(eager))
        assert lazy.history_[:, "valid_loss"] == eager.history_[:, "valid_loss"]
        np.testing.assert_array_equal(lazy.predict_proba_over_time(events), expected[order])
    assert pools
    assert not any(map(is_alive, pools))


def test_going_on_does_not_depend_on_it_either(data):
    X, y = data
    weight = np.linspace(0.1, 1, 24)
    fits = []
    for params in ({}, {"memory_limit": 0}):
        model = quick(**SETTINGS, warm_start=True, class_weight="balanced", **params)
        model.partial_fit(X, y, classes=[0, 1, 2], sample_weight=weight).partial_fit(X[:9], y[:9])
        fits.append(weights(model))
        fits[-1] += weights(quick(**SETTINGS, warm_start=True, **params).fit(X, y).fit(X, y))
    assert_same_weights(*fits)


@pytest.mark.parametrize(("limit", "lazy"), [(24 * 90 * 4, False), (24 * 90 * 4 - 1, True)])
def test_the_limit_is_in_bytes(data, limit, lazy):
    X, _ = data
    encoder = FrameEncoder(3, polarity="merged").fit(X)
    model = quick(**SETTINGS, encoder=encoder, memory_limit=limit)
    model.encoder_ = encoder
    assert isinstance(check_X(model, X, reset=True), EncodedRows) is lazy


@pytest.mark.parametrize(
    ("free", "lazy"), [(4 * 24 * 180 * 4, False), (4 * 24 * 180 * 4 - 4, True)]
)
def test_a_quarter_of_the_free_memory_is_the_limit(data, free, lazy, monkeypatch):
    monkeypatch.setattr("skspike.estimators._input.free_memory", lambda: free)
    X, _ = data
    assert isinstance(check_X(quick(**SETTINGS), X, reset=True), EncodedRows) is lazy


@pytest.mark.parametrize(
    ("name", "value"),
    [("memory_limit", -1), ("memory_limit", "all"), ("cache", 3), ("n_jobs", "a")],
)
def test_values_that_make_no_sense(data, name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of SMAClassifier must be"):
        quick(**{name: value}).fit(*data)


def test_losses_are_told_in_fit_and_in_predict(data):
    X, y = data
    encoder = FrameEncoder(3, window=(0, 5_000))
    model = quick(**SETTINGS, encoder=encoder, memory_limit=0)
    for act in (lambda: model.fit(X, y), lambda: model.predict(X)):
        with pytest.warns(EventLossWarning, match="FrameEncoder left out") as caught:
            act()
        assert len(caught) == 1


def test_one_recording_and_none(data):
    X, y = data
    model = quick(**SETTINGS, memory_limit=0).fit(X, y)
    np.testing.assert_array_equal(model.predict(X[:1]), model.predict(X)[:1])
    with pytest.raises(ValueError, match=r"Found array with 0 sample"):
        model.predict(X[:0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[:-1])


# --- The cache ---


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_encodes_each_recording_once_for_each_encoder(n_jobs, data, tmp_path):
    X, y = data
    X.save(tmp_path / "X")
    X, log = EventCollection.open(tmp_path / "X"), tmp_path / "log"
    log.touch()
    model = quick(**SETTINGS, encoder=CountingEncoder(log=str(log)), cache=str(tmp_path / "cache"))
    grid = {"encoder__n_bins": [2, 3]}
    search = GridSearchCV(model, grid, cv=3, n_jobs=n_jobs, error_score="raise").fit(X, y)
    lines = encoded(log)
    assert len(lines) == len(set(lines)) == 2 * len(X)
    plain = GridSearchCV(model.set_params(cache=None), grid, cv=3).fit(X, y)
    for name in ("mean_test_score", "params"):
        assert list(search.cv_results_[name]) == list(plain.cv_results_[name])
    assert_same_weights(weights(search.best_estimator_), weights(plain.best_estimator_))


def test_what_changes_is_encoded_anew(data, tmp_path):
    X, y = data
    log = tmp_path / "log"

    def n_encoded(X, **params):
        encoder = CountingEncoder(**{"log": str(log), **params})
        quick(**SETTINGS, encoder=encoder, cache=str(tmp_path / "cache")).fit(X, y)
        return len(encoded(log))

    changed = [recording.copy() for recording in X]
    changed[5]["y"][0] += 1
    assert n_encoded(X) == 24
    assert n_encoded(X) == 0
    assert n_encoded(X[::-1]) == 0
    assert n_encoded(changed) == 1
    assert n_encoded(X, n_bins=4) == 24
    assert n_encoded(EventCollection(X, sensor_size=(7, 6))) == 24
    for file in (tmp_path / "cache").rglob("*.rows"):
        file.write_bytes(bytes(file.stat().st_size))
    assert n_encoded(X) == 24


# --- Processes ---


class Act(Callback):
    """Does something when a batch begins."""

    def __init__(self, action):
        self.action = action

    def on_batch_begin(self, net, **kwargs):
        self.action()


@pytest.mark.usefixtures("plain")
def test_processes_end_with_the_fit_however_it_ends(data, pools):
    X, y = data
    many, labels = X[np.tile(np.arange(24), 4)], np.tile(y, 4)

    def fail():
        raise RuntimeError("a failing callback")

    def interrupt():
        raise KeyboardInterrupt  # what Ctrl-C raises

    settings = {**SETTINGS, "memory_limit": 0, "n_jobs": 2, "max_epochs": 3}
    with pytest.raises(RuntimeError, match="a failing callback"):
        quick(**settings, callbacks=[Act(fail)]).fit(many, labels)
    model = quick(**settings, callbacks=[Act(interrupt)]).fit(many, labels)  # keeps its weights
    assert model.n_iter_ == 1
    assert len(pools) == 4
    assert not any(map(is_alive, pools))


@pytest.mark.usefixtures("plain")
def test_a_killed_process_is_an_error_and_no_hang(data, pools):
    X, y = data
    many, labels = X[np.tile(np.arange(24), 4)], np.tile(y, 4)
    kill = Act(lambda: [os.kill(pid, signal.SIGKILL) for pid in pools if is_alive(pid)])
    settings = {**SETTINGS, "memory_limit": 0, "n_jobs": 2, "callbacks": [kill]}
    with pytest.raises(ProcessLostError, match="A worker process of SMAClassifier ended before"):
        quick(**settings).fit(many, labels)
    assert not any(map(is_alive, pools))
    assert threading.active_count() < 50


# --- StreamedRows ---


def test_rows_arrive_as_tensors_of_their_dtype(data):
    X, _ = data
    for dtype in ("float32", "uint8", "int16", "float64"):
        frames = FrameEncoder(3, dtype=dtype).fit_transform(X)
        with open_rows(rows_of(X, dtype=dtype), torch.device("cpu")) as rows:
            assert isinstance(rows, StreamedRows)
            shown = np.array([5, 2, 2, 9])
            parts = [*rows.index(shown).split([3, 1]), slice(20, 30)]
            expected = [frames[shown[:3]], frames[shown[3:]], frames[20:]]
            for x, values in zip(rows.stream(parts), expected, strict=True):
                assert x.dtype == torch.from_numpy(frames).dtype
                np.testing.assert_array_equal(x.numpy(), values)


def test_dtypes_that_torch_lacks_become_float32(data):
    X, _ = data
    with open_rows(rows_of(X, dtype="uint16"), torch.device("cpu")) as rows:
        (x,) = rows.stream([slice(0, 4)])
    assert x.dtype == torch.float32
    np.testing.assert_array_equal(x.numpy(), FrameEncoder(3).fit_transform(X)[:4])


@pytest.mark.gpu
def test_batches_of_encoded_rows_on_cuda(data):
    X, _ = data
    frames = FrameEncoder(3).fit_transform(X)
    with open_rows(rows_of(X), torch.device("cuda", 0)) as rows:
        parts = list(rows.index(np.arange(24)).split(5))
        for part, x in zip(parts, rows.stream(parts), strict=True):
            assert x.device.type == "cuda"
            np.testing.assert_array_equal(x.cpu().numpy(), frames[part.numpy()])

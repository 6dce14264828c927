import inspect
import pickle

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skspike import EventCollection, FrameEncoder
from skspike._encoded import _encoder_cache
from skspike._encoded._encoder_cache import encoder_key, open_store, recording_keys
from skspike.datasets import make_moving_shapes
from skspike.encoders import EncoderCache
from tests.counting import CountingEncoder


@pytest.fixture(scope="module")
def X():
    return make_moving_shapes(n_samples=6, sensor_size=(12, 10), random_state=0)[0]


def fill(path, encoder, X):
    store, keys = open_store(path, encoder), recording_keys(encoder_key(encoder), X)
    with store.writing():
        store.append(keys, encoder.transform(X), np.arange(len(X), dtype=np.uint64), "")
    return store


# What decides a key ------------------------------------------------------------------------------


def test_a_key_is_that_of_any_equal_encoder(X):
    encoder = FrameEncoder(n_bins=3).fit(X)
    key = encoder_key(encoder)
    assert key == encoder_key(pickle.loads(pickle.dumps(encoder)))
    assert key == encoder_key(FrameEncoder(n_bins=3).fit(EventCollection(list(X))))
    assert key == encoder_key(FrameEncoder(n_bins=3, n_jobs=2).fit(X))
    assert encoder.n_jobs is None


def test_parameters_and_what_was_learned_change_the_key(X):
    larger = EventCollection(X, sensor_size=(13, 10))
    later = X[[3]]
    encoders = [
        FrameEncoder(n_bins=3).fit(X),
        FrameEncoder(n_bins=4).fit(X),
        FrameEncoder(n_bins=3, dtype="uint8").fit(X),
        FrameEncoder(n_bins=3).fit(larger),
        FrameEncoder(n_bins=3, window="fit").fit(X),
        FrameEncoder(n_bins=3, window="fit").fit(later),
        CountingEncoder(3).fit(X),
        make_pipeline(FunctionTransformer(), FrameEncoder(n_bins=3)).fit(X),
        make_pipeline(FunctionTransformer(), FrameEncoder(n_bins=4)).fit(X),
        make_pipeline(FunctionTransformer(len), FrameEncoder(n_bins=3)),
        make_pipeline(FunctionTransformer(max), FrameEncoder(n_bins=3)),
    ]
    assert len({encoder_key(encoder) for encoder in encoders}) == len(encoders)


def test_the_code_of_others_changes_the_key(X, monkeypatch):
    encoder = CountingEncoder(3).fit(X)
    key = encoder_key(encoder)
    assert key == encoder_key(encoder)
    source = inspect.getsource
    with monkeypatch.context() as patch:
        patch.setattr(_encoder_cache.inspect, "getsource", lambda code: source(code) + "# edited")
        assert encoder_key(encoder) != key
        assert encoder_key(FrameEncoder().fit(X)) == encoder_key(FrameEncoder().fit(X))

    def unknown(code):
        raise OSError

    monkeypatch.setattr(_encoder_cache.inspect, "getsource", unknown)
    assert encoder_key(encoder) != encoder_key(encoder)  # rather encode twice than wrongly


def test_the_version_changes_the_key(X, monkeypatch):
    encoder = FrameEncoder(3).fit(X)
    key = encoder_key(encoder)
    monkeypatch.setattr("skspike.__version__", "99")
    assert encoder_key(encoder) != key


def test_an_encoder_that_is_no_estimator_has_a_key():
    assert encoder_key(np.array([1, 2])) != encoder_key(np.array([1, 3]))


def test_an_encoder_without_a_key(X):
    class Local(FrameEncoder):
        pass

    with pytest.raises(TypeError, match=r"kept in a cache must pickle. Got Local\(\) instead: Can"):
        encoder_key(Local().fit(X))


def test_recordings_have_the_key_of_their_content(X):
    keys = recording_keys("a", X)
    assert len(set(keys)) == 6
    assert recording_keys("a", X[[4, 4, 1]]) == [keys[4], keys[4], keys[1]]
    assert recording_keys("a", EventCollection(X[::-1])) == keys[::-1]
    assert not set(recording_keys("b", X)) & set(keys)
    assert not set(recording_keys("a", EventCollection(X, sensor_size=(50, 50)))) & set(keys)
    other = [recording.copy() for recording in X]
    other[2]["p"][0] ^= True
    changed = recording_keys("a", EventCollection(other, sensor_size=X.sensor_size))
    assert [a == b for a, b in zip(keys, changed, strict=True)] == [i != 2 for i in range(6)]


def test_views_share_what_is_known_of_the_recordings(X):
    X = EventCollection(X)
    keys = recording_keys("a", X[2:])
    assert sorted(X._digests) == [2, 3, 4, 5]
    assert recording_keys("a", X)[2:] == keys
    assert X[1:]._digests is X._digests


# The folder --------------------------------------------------------------------------------------


def test_the_report_names_encoders_and_sizes(X, tmp_path):
    cache = EncoderCache(tmp_path / "cache")
    assert cache.report() == []
    assert (cache.n_rows, cache.nbytes) == (0, 0)
    fill(cache.path, FrameEncoder(2).fit(X), X)
    fill(cache.path, FrameEncoder(4).fit(X), X[:5])
    first, second = cache.report()
    assert "FrameEncoder(n_bins=4)" in first["encoder"]
    assert (first["n_rows"], second["n_rows"], cache.n_rows) == (5, 6, 11)
    files = [file for file in cache.path.rglob("*") if file.is_file()]
    assert cache.nbytes == sum(file.stat().st_size for file in files) > 11 * 2 * 2 * 120
    assert repr(cache).endswith(
        f"cache': 11 recordings by 2 encoders, {cache.nbytes / 1e6:.1f} MB>"
    )


def test_clearing_deletes_what_is_ours(X, tmp_path):
    store = fill(tmp_path, FrameEncoder(2).fit(X), X)
    (tmp_path / "mine.txt").write_text("kept")
    EncoderCache(tmp_path).clear()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    again = open_store(tmp_path, FrameEncoder(2).fit(X))
    assert again is not store
    assert len(again) == 0


def test_a_process_opens_a_store_once(X, tmp_path, monkeypatch):
    encoder = FrameEncoder(2).fit(X)
    store = open_store(tmp_path, encoder)
    assert open_store(str(tmp_path), encoder) is store
    monkeypatch.setattr(_encoder_cache.os, "getpid", lambda: -1)  # as in a forked child
    assert open_store(tmp_path, encoder) is not store


def test_a_folder_that_was_made_again_gets_its_title_back(X, tmp_path):
    encoder = FrameEncoder(n_bins=3).fit(X)
    store = fill(tmp_path, encoder, X)
    EncoderCache(tmp_path).clear()
    with store.writing():  # in a training that goes on meanwhile
        pass
    assert EncoderCache(tmp_path).report() == []
    fill(tmp_path, encoder, X)
    assert EncoderCache(tmp_path).n_rows == len(X)
    EncoderCache(tmp_path).clear()
    assert list(tmp_path.iterdir()) == []

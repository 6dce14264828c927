import warnings

import numpy as np
import pytest

from skspike import EventCollection, FrameEncoder, config_context
from skspike._encoded import EncodedRows, _rows, row_digests
from skspike.datasets import make_moving_shapes
from skspike.exceptions import EventLossWarning
from tests._encoded.test_workers import is_alive
from tests.counting import CountingEncoder, encoded


@pytest.fixture(scope="module")
def X():
    return make_moving_shapes(n_samples=40, sensor_size=(12, 10), random_state=0)[0]


def raise_for(rows):
    raise ValueError(f"{len(rows)} rows are not finite")


def make_rows(X, encoder=None, **params):
    encoder = FrameEncoder(3).fit(X) if encoder is None else encoder
    return EncodedRows(encoder, X, owner="Owner", check=raise_for, **params)


@pytest.fixture
def plain():
    """Encode without compiled code, so that processes are sooner ready."""
    with config_context(backend="reference"):
        yield


@pytest.mark.usefixtures("plain")
def test_rows_are_those_of_one_array(X, tmp_path, monkeypatch):
    """The array is made at once, in blocks, by other processes, from a file, from a cache."""
    frames = FrameEncoder(3).fit_transform(X)
    monkeypatch.setattr(_rows, "_BLOCK", 4 * frames[0].nbytes)
    X.save(tmp_path / "X")
    mapped = EventCollection.open(tmp_path / "X")
    order = np.random.default_rng(0).permutation(40)
    batches = [*np.split(order, [7, 8, 30]), order[:0]][:-1]
    for collection, n_jobs, cache in [
        (X, 1, None),
        (mapped, 1, tmp_path / "a"),
        (mapped, 1, tmp_path / "a"),
        (mapped, 2, None),
        (X, 2, tmp_path / "b"),
    ]:
        rows = make_rows(collection, cache=cache, n_jobs=n_jobs)
        assert (rows.shape, rows.dtype, len(rows)) == (frames.shape, frames.dtype, 40)
        assert rows.nbytes == frames.nbytes
        np.testing.assert_array_equal(rows.digests(order[5:]), row_digests(frames)[order[5:]])
        for batch, part in zip(rows.stream(batches), batches, strict=True):
            assert batch.dtype == frames.dtype
            np.testing.assert_array_equal(batch, frames[part])
        np.testing.assert_array_equal(rows.to_array(), frames)
        rows.close()


def test_blocks_are_small_and_recordings_whole(X, monkeypatch):
    rows = make_rows(X)
    assert len(rows._parts(np.arange(40))) == 1
    one = rows.sample.nbytes
    for size, largest in ((3 * one + X.lengths.max() * 13 * 3, 4), (1, 1), (2**30, 40)):
        monkeypatch.setattr(_rows, "_BLOCK", size)
        parts = rows._parts(np.arange(40)[::-1])
        np.testing.assert_array_equal(np.concatenate(parts), np.arange(40)[::-1])
        assert 1 <= max(map(len, parts)) <= largest
    assert sum(map(len, rows._parts(np.arange(0)))) == 0


def test_losses_are_told_once_and_for_all_blocks(X, monkeypatch):
    encoder = FrameEncoder(3, window=(0, 20_000)).fit(X)
    monkeypatch.setattr(_rows, "_BLOCK", 10 * 3 * 2 * 120 * 4)
    rows = make_rows(X, encoder)
    n = len(rows._parts(np.arange(40)))
    assert n > 2
    with pytest.warns(EventLossWarning) as caught:
        rows.digests(np.arange(40))
    (warning,) = caught
    assert str(warning.message).startswith("FrameEncoder left out ")
    assert str(warning.message).endswith(f" Losses were met in {n} blocks of recordings.")
    with warnings.catch_warnings():  # every epoch after it is silent
        warnings.simplefilter("error")
        list(rows.stream([np.arange(40)]))
    with pytest.warns(EventLossWarning, match=r"left out .* µs\.$"):
        list(make_rows(X, encoder).stream([np.arange(40)]))


def test_other_warnings_pass(X):
    class Talking(FrameEncoder):
        def transform(self, X):
            warnings.warn("hello", UserWarning, stacklevel=1)
            return super().transform(X)

    with pytest.warns(UserWarning, match="hello"):
        make_rows(X, Talking(3).fit(X)).to_array()


def test_values_that_are_not_finite_are_checked_in_the_first_pass(X):
    class Infinite(FrameEncoder):
        def transform(self, X):
            frames = super().transform(X)
            frames[X.lengths == X.lengths.max()] = np.inf
            return frames

    X = X[np.argsort(X.lengths)]
    with pytest.raises(ValueError, match="40 rows are not finite"):
        make_rows(X, Infinite(3).fit(X)).digests(np.arange(40))
    with pytest.raises(ValueError, match="5 rows are not finite"):
        list(make_rows(X, Infinite(3).fit(X)).stream([np.arange(5), np.arange(35, 40)]))


def test_rows_of_several_shapes_are_an_error(X):
    class Growing(FrameEncoder):
        def transform(self, X):
            return np.zeros((len(X), len(X)), np.float32)

    message = r"make rows of one shape and dtype, \(1,\) and float32 .* Got \(40,\) and float32"
    with pytest.raises(ValueError, match=message):
        make_rows(X, Growing(3).fit(X)).to_array()


def test_the_sample_is_encoded_once_where_there_is_a_cache(X, tmp_path):
    log = tmp_path / "log"
    encoder = CountingEncoder(3, log=str(log)).fit(X)
    rows = make_rows(X, encoder, cache=tmp_path / "cache")
    rows.digests(np.arange(40))
    rows.to_array()
    assert len(encoded(log)) == len(set(rows._source._keys)) == 40


@pytest.mark.usefixtures("plain")
def test_closing_ends_the_processes(X):
    rows = make_rows(X, n_jobs=2)
    stream = rows.stream([np.arange(4)] * 10)
    next(stream)
    pids = [worker.pid for worker in rows._source._pool._workers]
    assert len(pids) == 2
    rows.close()
    assert not any(map(is_alive, pids))

import warnings

import numpy as np
import pytest

from skspike._encoded._cached_blocks import CachedBlocks
from skspike._encoded._encode_block import BlockEncoder, row_digests
from skspike._encoded._row_store import RowStore
from skspike.datasets import make_moving_shapes
from skspike.exceptions import EventLossWarning
from tests.counting import CountingEncoder, encoded


@pytest.fixture(scope="module")
def X():
    return make_moving_shapes(n_samples=8, sensor_size=(12, 10), random_state=0)[0]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def cached(tmp_path, log):
    """Return a function that makes blocks of a new encoder in one folder."""

    def make(X, n_bins=3, **params):
        encoder = CountingEncoder(n_bins, log=str(log), **params).fit(X)
        return CachedBlocks(BlockEncoder(encoder, X, "Owner", 1), tmp_path / "cache")

    return make


class Infinite(CountingEncoder):
    """An encoder whose rows are not finite."""

    def transform(self, X):
        return super().transform(X) * np.float32(np.inf)


class Fickle(CountingEncoder):
    """An encoder whose rows have another dtype where there are several."""

    def transform(self, X):
        return super().transform(X).astype(np.float32 if len(X) == 1 else np.int32) - 7


def rows_of(blocks, *parts):
    return [block.rows for block in blocks.blocks([np.array(part) for part in parts])]


def test_no_recording_is_encoded_twice(cached, log, X):
    frames = CountingEncoder(3, log=str(log)).fit_transform(X)
    encoded(log)
    first, second = rows_of(cached(X), [2, 5, 2], [5, 0])
    np.testing.assert_array_equal(first, frames[[2, 5, 2]])
    np.testing.assert_array_equal(second, frames[[5, 0]])
    assert len(encoded(log)) == 3
    (again,) = rows_of(cached(X[[5, 1, 0]]), [0, 1, 2])  # another view, another fit
    np.testing.assert_array_equal(again, frames[[5, 1, 0]])
    assert len(encoded(log)) == 1
    rows_of(cached(X, n_bins=4), [5])
    assert len(encoded(log)) == 1
    (block,) = cached(X).blocks([np.array([5, 2])], rows=False, digests=True)
    np.testing.assert_array_equal(block.digests, row_digests(frames[[5, 2]]))
    assert block.rows is None
    assert (block.shape, block.dtype) == ((2, *frames.shape[1:]), frames.dtype)
    (block,) = cached(X).blocks([np.array([7, 2])], rows=False, digests=True)
    np.testing.assert_array_equal(block.digests, row_digests(frames[[7, 2]]))
    assert len(encoded(log)) == 1


def test_what_another_process_encoded_meanwhile_is_not_encoded(cached, log, X):
    one = cached(X)
    other = cached(X)
    other._store = RowStore(one._store.folder)  # as another process has it
    rows_of(one, [0, 1])
    assert len(encoded(log)) == 2
    rows_of(other, [0, 1, 2])
    assert len(encoded(log)) == 1


def test_damaged_rows_are_encoded_again(cached, log, X):
    (frames,) = rows_of(cached(X), range(8))
    (data,) = cached(X)._store.folder.glob("*.rows")
    content = bytearray(data.read_bytes())
    content[3 * len(content) // 8 + 5] ^= 1
    data.write_bytes(content)
    encoded(log)
    for n in (1, 0):
        (again,) = rows_of(cached(X), range(8))
        np.testing.assert_array_equal(again, frames)
        assert len(encoded(log)) == n


def test_losses_are_told_each_time(cached, log, X):
    for n in (8, 0):
        (block,) = cached(X, window=(0, 10)).blocks([np.arange(8)], rows=False, digests=True)
        assert len(encoded(log)) == n
        (note,) = block.notes
        assert isinstance(note, EventLossWarning)
        assert ("When the recordings were encoded for the cache: " in str(note)) == (n == 0)
        assert " left out " in str(note)


def test_rows_that_are_not_finite_are_never_stored(tmp_path, X):
    encoder = Infinite(3, log=str(tmp_path / "log")).fit(X)
    for _ in range(2):
        blocks = CachedBlocks(BlockEncoder(encoder, X, "Owner", 1), tmp_path / "cache")
        with np.errstate(invalid="ignore"):
            (block,) = blocks.blocks([np.arange(3)])
        assert not block.valid
        assert len(encoded(tmp_path / "log")) == 3


def test_rows_of_another_type_are_never_read_as_the_first(tmp_path, X):
    encoder = Fickle(3, log=str(tmp_path / "log")).fit(X)
    for _ in range(2):
        blocks = CachedBlocks(BlockEncoder(encoder, X, "Owner", 1), tmp_path / "cache")
        (first, others) = rows_of(blocks, [0], [1, 2])
        assert (first.dtype, others.dtype) == (np.float32, np.int32)  # whoever asked compares them
        np.testing.assert_array_equal(others, encoder.transform(X[[1, 2]]))


def test_a_full_disk_is_told_once_and_stops_nothing(cached, log, X, monkeypatch):
    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(RowStore, "append", full)
    blocks = cached(X)
    message = r"The cache of Owner in folder .* takes no more recordings: No space left on device"
    with pytest.warns(RuntimeWarning, match=message):
        (first,) = rows_of(blocks, [0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (second,) = rows_of(blocks, [0, 1])
    np.testing.assert_array_equal(first, second)
    assert len(encoded(log)) == 4

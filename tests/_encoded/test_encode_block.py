import pickle
import warnings

import numpy as np
import pytest

import skspike
from skspike import EventCollection, FrameEncoder
from skspike._encoded._encode_block import (
    BlockEncoder,
    _encode_compactly,
    encode_block,
    row_digests,
)
from skspike.datasets import make_moving_shapes
from skspike.exceptions import EventLossWarning

CONFIG = skspike.get_config()


@pytest.fixture(scope="module")
def X():
    return make_moving_shapes(n_samples=6, sensor_size=(12, 10), random_state=0)[0]


class Returning:
    """An encoder that returns what it was made with."""

    def __init__(self, make):
        self.make = make

    def transform(self, X):
        return self.make(len(X))


def test_blocks_are_the_rows_of_the_whole(X):
    encoder = FrameEncoder(3).fit(X)
    frames = encoder.transform(X)
    parts = [np.array([4, 1]), np.array([3]), np.array([0, 0, 5])]
    blocks = list(BlockEncoder(encoder, X, "Owner", 1).blocks(parts, digests=True))
    for part, block in zip(parts, blocks, strict=True):
        np.testing.assert_array_equal(block.rows, frames[part])
        np.testing.assert_array_equal(block.digests, row_digests(frames)[part])
        assert (block.shape, block.dtype, block.valid) == (frames[part].shape, frames.dtype, True)
    (block,) = BlockEncoder(encoder, X, "Owner", 1).blocks(parts[:1], rows=False)
    assert block.rows is block.digests is None


@pytest.mark.parametrize("factor", [1, 0.5])
def test_what_travels_is_compact_and_exact(X, factor):
    frames = FrameEncoder(3).fit_transform(X) * np.float32(factor)
    block = _encode_compactly(Returning(lambda n: frames), X, CONFIG, True, True)
    assert block.dtype == np.float32
    assert block.rows.dtype == (np.uint8 if factor == 1 else np.float32)
    np.testing.assert_array_equal(block.rows.astype(np.float32), frames)
    np.testing.assert_array_equal(block.digests, row_digests(frames))
    assert _encode_compactly(Returning(lambda n: frames), X, CONFIG, False, True).rows is None


def test_digests_tell_bits_apart():
    rows = np.array([[0.0, 1], [-0.0, 1], [0, 1], [1, 0]])
    digests = row_digests(rows)
    assert digests[0] == digests[2]
    assert len(set(digests)) == 3
    assert row_digests(rows[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("value", "valid"),
    [(np.nan, False), (np.inf, False), (-1e39, False), (1e38, True), (0.0, True)],
)
def test_values_that_no_network_can_read_are_noticed(X, value, valid):
    def make(n):
        rows = np.zeros((n, 3))
        rows[1, 1] = value
        return rows

    assert encode_block(Returning(make), X, CONFIG, True, False).valid is valid
    assert encode_block(Returning(lambda n: make(n).astype(int)), X, CONFIG, True, False).valid


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda n: np.zeros((n - 1, 3)), r"shape \(5, 3\) and dtype float64 for 6 recordings"),
        (lambda n: np.zeros(n), r"shape \(6,\) and dtype float64"),
        (lambda n: np.zeros((n, 3), complex), r"dtype complex128"),
        (lambda n: np.full((n, 3), "a"), r"dtype <U1"),
        (lambda n: None, r"shape \(\) and dtype object"),
    ],
)
def test_what_is_no_array_of_rows_is_an_error(X, make, got):
    encoder = BlockEncoder(Returning(make), X, "Owner", 1)
    message = "The encoder of Owner must return an array of numbers with one row for each recording"
    with pytest.raises(ValueError, match=rf"{message}. Got .*{got}"):
        next(encoder.blocks([np.arange(6)]))


def test_an_error_says_which_recordings_it_counts(X):
    recordings = [recording.copy() for recording in X]
    recordings[4]["x"][0] = 20
    encoder = FrameEncoder(3, sensor_size=X.sensor_size).fit(X)
    blocks = BlockEncoder(encoder, EventCollection(recordings), "Owner", 1)
    with pytest.raises(ValueError, match=r"Recording 1 has one at x=20") as caught:
        list(blocks.blocks([np.array([0, 1]), np.array([3, 4])]))
    assert "while the recordings 3, 4 of X were encoded together" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match=r"Recording 4 has one at x=20") as caught:
        list(blocks.blocks([np.arange(6)]))
    assert not hasattr(caught.value, "__notes__")


def test_warnings_are_noted_and_not_shown(X):
    encoder = FrameEncoder(3, window=(0, 10)).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (note,) = encode_block(encoder, X, CONFIG, True, False).notes
    assert isinstance(note, EventLossWarning)
    assert isinstance(pickle.loads(pickle.dumps(note)), EventLossWarning)


def test_the_configuration_goes_along(X):
    seen = []
    encoder = Returning(lambda n: seen.append(skspike.get_config()["backend"]) or np.zeros((n, 1)))
    with skspike.config_context(backend="reference"):
        next(BlockEncoder(encoder, X, "Owner", 1).blocks([np.arange(6)]))
    encode_block(encoder, X, {"backend": "numba", "device": "cpu"}, True, False)
    assert seen == ["reference", "numba"]
    assert skspike.get_config() == CONFIG

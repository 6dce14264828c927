"""ST-MNIST in MATLAB's format."""

import struct

import numpy as np
import pytest
import scipy.io

from skspike.exceptions import EventFormatError
from skspike.io import read_events
from tests.io import encoders
from tests.io.common import rows, salvage, sample, write

EVENTS = encoders.some_events(size=(10, 10))


def test_a_real_file_against_scipy():
    path = sample("tonic/sample_stmnist.mat")
    X = read_events(path)
    assert (X.n_events, X.sensor_size) == (2346, (10, 10))
    train = scipy.io.loadmat(path)["spiketrain"]
    column, taxel = train[:100].T.nonzero()
    t = np.rint(train[100, column] * 1e6)
    p = train[taxel, column] > 0
    assert rows(X[0]) == list(zip(taxel % 10, taxel // 10, t, p, strict=True))


@pytest.mark.parametrize("compressed", [True, False])
def test_events_come_back(compressed, tmp_path):
    path = write(tmp_path, "file.mat", encoders.mat(EVENTS, compressed=compressed).data)
    assert np.array_equal(read_events(path)[0], EVENTS)


def test_files_that_scipy_writes(tmp_path):
    train = np.zeros((101, 3), np.int8)
    train[57, 1] = -1
    train[100] = [1, 2, 3]
    for compress in (True, False):
        path = tmp_path / "file.mat"
        scipy.io.savemat(path, {"other": [1, 2], "spiketrain": train}, do_compression=compress)
        assert rows(read_events(path)[0]) == [(7, 5, 2_000_000, False)]


def test_a_matrix_of_another_shape_or_name(tmp_path):
    path = tmp_path / "file.mat"
    scipy.io.savemat(path, {"spiketrain": np.zeros((100, 3))})
    with pytest.raises(EventFormatError, match=r"is of shape \(100, 3\), not \(101, n\)"):
        read_events(path)
    scipy.io.savemat(path, {"spikes": np.zeros((101, 3))})
    with pytest.raises(EventFormatError, match="it has no matrix spiketrain"):
        read_events(path)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("size", [0, 5, 2**31, 2**32 - 1])
def test_a_length_is_not_believed(size, compressed, tmp_path):
    data = bytearray(encoders.mat(EVENTS, compressed=compressed).data)
    struct.pack_into("<I", data, 132, size)
    path = write(tmp_path, "file.mat", bytes(data))
    with pytest.raises(EventFormatError) as caught:
        read_events(path)
    assert caught.value.offset is not None
    assert len(salvage(path)[0]) == 0


def test_a_spike_of_another_value(tmp_path):
    data = encoders.mat(EVENTS, compressed=False).data
    path = write(tmp_path, "file.mat", data.replace(struct.pack("<d", -1), struct.pack("<d", 2), 1))
    with pytest.raises(EventFormatError, match=r"2\.0 is not a polarity"):
        read_events(path)
    assert len(salvage(path)[0]) == len(EVENTS) - 1

"""ST-MNIST and ASL-DVS in MATLAB's format."""

import struct

import numpy as np
import pytest
import scipy.io

from skspike.exceptions import EventFormatError
from skspike.io import read_events
from tests.io import encoders
from tests.io.common import rows, salvage, sample, write

EVENTS = encoders.some_events(size=(10, 10))
COLUMNS = encoders.some_events(size=(100, 90))
NEITHER = "it has no matrix spiketrain, and not x, y, ts and pol"


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
    with pytest.raises(EventFormatError, match=NEITHER):
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


@pytest.mark.parametrize("t", ["<i4", "<f8"])
@pytest.mark.parametrize("compressed", [True, False])
def test_columns_come_back(compressed, t, tmp_path):
    encoded = encoders.mat_columns(COLUMNS, compressed=compressed, t=t)
    path = write(tmp_path, "file.mat", encoded.data)
    assert np.array_equal(read_events(path)[0], COLUMNS)
    found = scipy.io.loadmat(path)  # what the encoder writes, others read too
    for name, column in {"t": "ts", "x": "x", "y": "y", "p": "pol"}.items():
        assert np.array_equal(found[column][:, 0], COLUMNS[name])


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("oned_as", ["row", "column"])
def test_columns_that_scipy_writes_among_others(compress, oned_as, tmp_path):
    columns = {
        "comment": "none of these is of events",
        "ts": COLUMNS["t"].astype(np.uint32),
        "x": COLUMNS["x"].astype(float),
        "struct": {"x": 1, "cells": np.array(["a", 2.0], object)},
        "y": COLUMNS["y"].astype(np.int8),
        "pol": COLUMNS["p"],
        "z": 1j,
    }
    path = tmp_path / "file.mat"
    scipy.io.savemat(path, columns, do_compression=compress, oned_as=oned_as)
    assert np.array_equal(read_events(path)[0], COLUMNS)


def test_seconds_and_polarities_of_minus_one(tmp_path):
    path = tmp_path / "file.mat"
    scipy.io.savemat(path, {"ts": [0.25, 1.5], "x": [1, 2], "y": [3, 4], "pol": [-1, 1]})
    assert rows(read_events(path)[0]) == [(1, 3, 250_000, False), (2, 4, 1_500_000, True)]


def test_columns_of_other_lengths(tmp_path):
    path = tmp_path / "file.mat"
    scipy.io.savemat(path, {"ts": [1, 2, 3], "x": [1, 2], "y": [3, 4, 5], "pol": [0, 1, 0]})
    with pytest.raises(EventFormatError, match=r"vectors are of lengths \{'x': 2, 'y': 3, 't': 3,"):
        read_events(path)
    events, warning = salvage(path)
    assert rows(events) == [(1, 3, 1, False), (2, 4, 2, True)]
    assert "1 event left out" in warning


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"y": np.ones((3, 2))}, r"its matrix of y is of shape \(3, 2\), not a vector"),
        ({"x": [1, -2, 3]}, "-2 is not a column of the sensor"),
        ({"time": [1, 2, 3]}, NEITHER),
        ({"pol": "010"}, "an element of type 16 has 3 bytes"),
    ],
)
def test_columns_of_other_shapes_values_or_names(other, message, tmp_path):
    path = tmp_path / "file.mat"
    good = {"ts": [1, 2, 3], "x": [1, 2, 3], "y": [3, 4, 5], "pol": [0, 1, 0]}
    scipy.io.savemat(path, {**good, **other})
    with pytest.raises(EventFormatError, match=message):
        read_events(path)


def test_what_is_whole_is_kept_when_the_rest_is_damaged(tmp_path):
    data = encoders.mat_columns(COLUMNS).data
    path = write(tmp_path, "file.mat", data + b"more")
    with pytest.raises(EventFormatError, match=f"at byte {len(data)}: it ends within the head"):
        read_events(path)
    events, warning = salvage(path)
    assert np.array_equal(events, COLUMNS)
    assert "4 bytes without a readable event" in warning
    path = write(tmp_path, "file.mat", data + data[128:])
    with pytest.raises(EventFormatError, match=f"at byte {len(data)}: it has two matrices ts"):
        read_events(path)
    assert np.array_equal(salvage(path)[0], COLUMNS)


@pytest.mark.parametrize(("size", "at"), [(40, 40), (128, 128), (140, 128), (400, 344)])
def test_a_file_that_is_cut_has_no_events(size, at, tmp_path):
    data = encoders.mat_columns(COLUMNS, compressed=False).data
    path = write(tmp_path, "file.mat", data[:size])
    with pytest.raises(EventFormatError) as caught:
        read_events(path)
    assert caught.value.offset == at
    events, warning = salvage(path)
    assert len(events) == 0
    assert "-" not in warning.partition("damaged")[2]

import gzip
import struct

import numpy as np
import pytest

from skspike.datasets import _smnist as module
from skspike.datasets import fetch_smnist
from skspike.exceptions import DownloadError
from tests.datasets.server import check_addresses, serving_arrays

RNG = np.random.default_rng(0)
IMAGES = {"train": RNG.integers(256, size=(5, 28, 28)), "test": RNG.integers(256, size=(2, 28, 28))}
LABELS = {"train": [3, 1, 4, 1, 5], "test": [9, 2]}


def idx(array):
    """The IDX format: a magic number, big-endian lengths, bytes."""
    array = np.asarray(array, np.uint8)
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.tobytes())


def contents():
    return {
        f"{subset}_{name}": idx(arrays[subset])
        for subset in ("train", "test")
        for name, arrays in (("images", IMAGES), ("labels", LABELS))
    }


def test_images_become_sequences_of_pixels(tmp_path, monkeypatch):
    with serving_arrays(module, "_SOURCE", contents(), monkeypatch):
        train = fetch_smnist(data_home=tmp_path, delay=0.0)
    assert train.data.dtype == np.float32
    np.testing.assert_allclose(train.data, IMAGES["train"].reshape(5, 784, 1) / 255, rtol=1e-6)
    assert train.target.tolist() == LABELS["train"]
    assert train.target_names.tolist() == list("0123456789")
    assert "784 steps" in train.DESCR
    X, y = fetch_smnist(subset="test", data_home=tmp_path, return_X_y=True)
    assert X.shape == (2, 784, 1)
    assert y.tolist() == LABELS["test"]
    assert fetch_smnist(subset="all", data_home=tmp_path).target.tolist() == [3, 1, 4, 1, 5, 9, 2]


def test_permutations_reorder_the_pixels(tmp_path, monkeypatch):
    with serving_arrays(module, "_SOURCE", contents(), monkeypatch):
        plain = fetch_smnist(data_home=tmp_path, delay=0.0).data
    reversal = fetch_smnist(data_home=tmp_path, permutation="bit_reversal").data
    assert (reversal[:, :4] == plain[:, [0, 512, 256, 768]]).all()
    random = fetch_smnist(data_home=tmp_path, permutation="random", random_state=92916).data
    assert (random == plain[:, np.random.RandomState(92916).permutation(784)]).all()


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08", b"\0\0\x0d\1\0\0\0\1?", b"\0\0\x08\1\0\0\0\2?"]
)
def test_what_is_no_idx_file_raises(content, tmp_path, monkeypatch):
    broken = contents() | {"train_labels": gzip.compress(content)}
    with (
        serving_arrays(module, "_SOURCE", broken, monkeypatch),
        pytest.raises(DownloadError, match=r"'train-labels-idx1-ubyte.gz' must be an IDX file"),
    ):
        fetch_smnist(data_home=tmp_path, delay=0.0)


def test_the_addresses_can_be_told_apart():
    check_addresses(module._SOURCE)


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(ValueError, match=r"'permutation' parameter of fetch_smnist must be one"):
        fetch_smnist(permutation="snake", data_home=tmp_path)
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_smnist is False"):
        fetch_smnist(data_home=tmp_path, download_if_missing=False)

import io
import tarfile

import numpy as np
import pytest

from skspike.datasets import _scifar as module
from skspike.datasets import fetch_scifar
from skspike.exceptions import DownloadError
from tests.datasets.server import check_addresses, serving_arrays

IMAGES = np.random.default_rng(0).integers(256, size=(12, 3, 32, 32)).astype(np.uint8)
LABELS = np.arange(12) % 10


def archive(short=0):
    """The layout of the binary version: batches of labels and planes of colours."""
    records = [bytes([k]) + image.tobytes() for k, image in zip(LABELS, IMAGES, strict=True)]
    members = {f"data_batch_{i + 1}.bin": records[2 * i : 2 * i + 2] for i in range(5)}
    members["test_batch.bin"] = records[10:]
    members = {name: b"".join(batch) for name, batch in members.items()}
    members["data_batch_2.bin"] = members["data_batch_2.bin"][short:]
    members["batches.meta.txt"] = b"airplane\nautomobile\nbird\n\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return {"binary": buffer.getvalue()}


def test_colours_are_standardized_row_by_row(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 4)
    with serving_arrays(module, "_SOURCE", archive(), monkeypatch):
        train = fetch_scifar(grayscale=False, data_home=tmp_path, delay=0.0)
    assert train.data.shape == (10, 1024, 3)
    assert train.data.dtype == np.float32
    mean, deviation = [0.4914, 0.4822, 0.4465], [0.247, 0.243, 0.261]
    pixels = train.data.reshape(10, 32, 32, 3) * deviation + mean
    np.testing.assert_allclose(pixels, IMAGES[:10].transpose(0, 2, 3, 1) / 255, atol=1e-6)
    assert train.target.tolist() == LABELS[:10].tolist()
    assert train.target_names.tolist() == ["airplane", "automobile", "bird"]
    assert "CIFAR-10" in train.DESCR
    X, y = fetch_scifar(subset="test", data_home=tmp_path, return_X_y=True)
    assert X.shape == (2, 1024, 1)
    assert y.tolist() == LABELS[10:].tolist()
    assert fetch_scifar(subset="all", data_home=tmp_path).data.shape == (12, 1024, 1)


def test_grey_is_that_of_pillow(tmp_path, monkeypatch):
    Image = pytest.importorskip("PIL.Image")
    with serving_arrays(module, "_SOURCE", archive(), monkeypatch):
        X, _ = fetch_scifar(data_home=tmp_path, return_X_y=True, delay=0.0)
    for sequence, image in zip(X, IMAGES, strict=False):
        gray = np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L"))
        expected = (gray.reshape(1024, 1) / 255 - 122.6 / 255) / (61 / 255)
        np.testing.assert_allclose(sequence, expected, atol=1e-5)


def test_grey_is_a_weighted_mean_of_the_colours():
    pixels = IMAGES.reshape(-1, 3)
    expected = pixels @ [0.299, 0.587, 0.114]
    assert np.abs(module._to_gray(pixels) - expected).max() < 0.51
    assert module._to_gray(np.full((1, 3), 255, np.uint8)) == 255


def test_broken_records_raise(tmp_path, monkeypatch):
    with (
        serving_arrays(module, "_SOURCE", archive(short=1), monkeypatch),
        pytest.raises(DownloadError, match=r"'data_batch_2.bin' must hold records of 3073 bytes"),
    ):
        fetch_scifar(data_home=tmp_path, delay=0.0)


def test_the_address_has_a_checksum():
    check_addresses(module._SOURCE)


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_scifar is False"):
        fetch_scifar(data_home=tmp_path, download_if_missing=False)

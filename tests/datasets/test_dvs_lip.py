import io

import numpy as np
import pytest

from skspike.datasets import _dvs_lip as module
from skspike.datasets import fetch_dvs_lip
from skspike.exceptions import DownloadError
from tests.datasets.server import check_addresses, serving_source, zipped
from tests.io import encoders

EVENTS = [encoders.some_events(size=(128, 128), seed=k) for k in range(4)]
PLACES = ["train/young/0.npy", "train/accused/1.npy", "test/young/0.npy", "test/accused/0.npy"]


def recording(events):
    """The layout of a file: small signed ints, the time first."""
    buffer = io.BytesIO()
    dtype = [("t", "<i4"), ("x", "i1"), ("y", "i1"), ("p", "i1")]
    np.save(buffer, np.array(events[["t", "x", "y", "p"]].tolist(), dtype))
    return buffer.getvalue()


def archive():
    """The layout of the archive: a folder for each subset, and in it for each word."""
    files = {f"DVS-Lip/{p}": recording(e) for p, e in zip(PLACES, EVENTS, strict=True)}
    return zipped({**files, "DVS-Lip/train/.DS_Store": b"?"})


def test_the_layout_of_the_archive(tmp_path, monkeypatch):
    content = archive()
    contents = {"train": content, "test": content}
    with serving_source(module, "_SOURCE", contents, monkeypatch) as served:
        train = fetch_dvs_lip(data_home=tmp_path, delay=0.0)
        X, y = fetch_dvs_lip(subset="test", data_home=tmp_path, return_X_y=True)
        every = fetch_dvs_lip(subset="all", data_home=tmp_path)
    assert [server.asked for server in served.values()] == [[None], []]
    assert train.target_names.tolist() == ["accused", "young"]
    assert train.target.tolist() == y.tolist() == [0, 1]
    assert train.filenames.tolist() == ["accused/1.npy", "young/0.npy"]
    assert train.data.sensor_size == (128, 128)
    assert [r.tolist() for r in every.data] == [EVENTS[k].tolist() for k in (1, 0, 3, 2)]
    assert every.data[2:] == X
    assert every.groups is None
    assert "DVS-Lip" in train.DESCR


def test_a_server_that_asks_back_breaks_off_or_has_had_enough(tmp_path, monkeypatch):
    content = archive()
    page = "<title>Virus scan</title><form id=download-form action=/sure><input name=id value=1>"
    with serving_source(
        module, "_SOURCE", {"train": content, "test": content}, monkeypatch
    ) as served:
        server = served["train"]
        server.pages = ["<title>Quota exceeded</title>"]
        with pytest.raises(DownloadError, match=r"'Quota exceeded'.* Get it from https://drive\."):
            fetch_dvs_lip(data_home=tmp_path, delay=0.0)
        server.pages, server.breaks = [page], [700]
        assert len(fetch_dvs_lip(data_home=tmp_path, delay=0.0).data) == 2
    assert server.paths[1:] == ["/file", "/sure?id=1", "/file"]
    assert server.asked[3] == "bytes=700-"


def test_a_wrong_checksum_raises(tmp_path, monkeypatch):
    contents = {"train": archive(), "test": archive()}
    with serving_source(module, "_SOURCE", contents, monkeypatch) as served:
        served["train"].content = archive()[::-1]
        with pytest.raises(
            DownloadError, match=r"must have the checksum .* Get it from https://dr"
        ):
            fetch_dvs_lip(data_home=tmp_path, delay=0.0)


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_dvs_lip is False"):
        fetch_dvs_lip(data_home=tmp_path, download_if_missing=False)


def test_the_address_is_one():
    check_addresses(module._SOURCE)
    assert [*module._SOURCE.archives] == ["train", "test"]
    assert len({archive.url for archive in module._SOURCE.archives.values()}) == 1

import re

import pytest

from skspike.datasets import _asl_dvs as module
from skspike.datasets import fetch_asl_dvs
from skspike.exceptions import DownloadError
from tests.datasets.server import zipped
from tests.io import encoders

LETTERS = [letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter not in "jz"]
EVENTS = [encoders.some_events(n=5, size=(240, 180), seed=k) for k in range(2 * len(LETTERS))]


def archive(letters=LETTERS):
    """The layout of the folder at Dropbox: an archive for each letter, two recordings each."""
    members = {"/": b""}  # as Dropbox packs the folder itself
    for letter in letters:
        k = 2 * LETTERS.index(letter)
        files = {
            f"{letter}/{letter}_{i + 1:04}.mat": bytes(encoders.mat_columns(EVENTS[k + i]).data)
            for i in (1, 0)
        }
        files[f"__MACOSX/{letter}/._{letter}_0001.mat"] = b"?"
        members[f"Yin Bi - {letter}.zip"] = zipped(files)
    return zipped(members)


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Put an archive where the error says, and return the file."""
    monkeypatch.setattr(module, "_EACH", 2)

    def put(content):
        with pytest.raises(DownloadError) as caught:
            fetch_asl_dvs(data_home=tmp_path)
        path = tmp_path / "asl_dvs" / re.search(r"put it at '.*/(.+)'\.$", str(caught.value))[1]
        path.write_bytes(content)
        return path

    return put


@pytest.mark.parametrize("once_more", [False, True])
def test_the_layout_of_the_archive(once_more, put, tmp_path):
    content = archive()
    path = put(zipped({"ICCV2019_DVS_dataset.zip": content}) if once_more else content)
    loaded = fetch_asl_dvs(data_home=tmp_path)
    X, y = fetch_asl_dvs(data_home=tmp_path, return_X_y=True, download_if_missing=False)
    assert path.exists()
    assert loaded.target_names.tolist() == LETTERS
    assert loaded.target.tolist() == y.tolist() == [k // 2 for k in range(48)]
    assert loaded.filenames[1].endswith("Yin Bi - a/a/a_0002.mat")
    assert loaded.data == X
    assert X.sensor_size == (240, 180)
    assert [recording.tolist() for recording in X] == [events.tolist() for events in EVENTS]
    assert loaded.groups is None
    assert "ASL-DVS" in loaded.DESCR


@pytest.mark.parametrize(
    ("letters", "got"),
    [(LETTERS[1:], "Got 2 of b, 2 of c,"), ([], "Got none instead")],
)
def test_an_archive_that_lacks_recordings_raises(letters, got, put, tmp_path):
    put(archive(letters))
    with pytest.raises(DownloadError, match=rf"must hold 2 recordings of each of .* {got}"):
        fetch_asl_dvs(data_home=tmp_path)


def test_what_is_no_archive_raises(put, tmp_path):
    put(archive()[:1000])
    with pytest.raises(DownloadError, match=r"ICCV2019_DVS_dataset.zip' must be a zip or a tar"):
        fetch_asl_dvs(data_home=tmp_path)


def test_what_is_not_there_raises(tmp_path):
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_asl_dvs is False"):
        fetch_asl_dvs(data_home=tmp_path, download_if_missing=False)


def test_all_recordings_are_asked_for():
    assert len(module._LETTERS) * module._EACH == 100_800
    assert [*module._LETTERS] == LETTERS

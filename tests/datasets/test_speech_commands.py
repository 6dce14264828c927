import io
import tarfile
import wave

import numpy as np
import pytest

from skspike.datasets import _fetch_arrays, fetch_speech_commands
from skspike.datasets import _speech_commands as module
from skspike.exceptions import DownloadError
from tests.datasets.server import check_addresses, serving_arrays

# Speakers, words and lengths; b is in the training set, a validates, c tests.
RECORDINGS = {
    "tree/b_nohash_0.wav": 16_000,
    "yes/b_nohash_0.wav": 16_000,
    "yes/b_nohash_1.wav": 4,
    "go/a_nohash_0.wav": 3,
    "bird/c_nohash_0.wav": 2,
    "no/c_nohash_0.wav": 16_000,
}


def sound(n_steps, rate=16_000):
    """A recording whose samples count on, between -32768 and 32767."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.arange(n_steps) * 4 - 2**15).astype("<i2").tobytes())
    return buffer.getvalue()


def archive(recordings=RECORDINGS, rate=16_000):
    """The layout of the archive: a folder for each word, and lists of files."""
    members = {f"./{name}": sound(n_steps, rate) for name, n_steps in recordings.items()}
    members["./_background_noise_/pink_noise.wav"] = sound(20_000)
    for file, speaker in (("validation_list.txt", "a"), ("testing_list.txt", "c")):
        listed = [name for name in recordings if f"/{speaker}_" in name]
        members[f"./{file}"] = "\n".join(listed).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with the converted data set."""
    home = tmp_path_factory.mktemp("home")
    contents = {"words": archive()}
    with (
        pytest.MonkeyPatch.context() as patch,
        serving_arrays(module, "_SOURCE", contents, patch),
    ):
        fetch_speech_commands(data_home=home, delay=0.0)
    return home


def test_the_lists_split_and_words_are_classes(home):
    train = fetch_speech_commands(data_home=home)
    names = ["yes/b_nohash_0.wav", "yes/b_nohash_1.wav", "tree/b_nohash_0.wav"]
    assert train.filenames.tolist() == names
    assert train.target_names.tolist() == [*module._COMMANDS, "bird", "tree"]
    assert train.target.tolist() == [0, 0, 11]
    assert train.groups.tolist() == [1, 1, 1]
    assert train.lengths.tolist() == [16_000, 4, 16_000]
    valid = fetch_speech_commands(subset="valid", data_home=home)
    assert valid.filenames.tolist() == ["go/a_nohash_0.wav"]
    _, y = fetch_speech_commands(subset="test", data_home=home, return_X_y=True)
    assert y.tolist() == [1, 10]
    assert "35 English words" in train.DESCR


def test_samples_are_scaled_and_padded_or_cut(home):
    X, _ = fetch_speech_commands(data_home=home, return_X_y=True)
    assert X.shape == (3, 16_000, 1)
    assert X.dtype == np.float32
    np.testing.assert_array_equal(X[0, :, 0], (np.arange(16_000) * 4 - 2**15) / 2**15)
    assert (X[1, 4:] == 0).all()
    cut, _ = fetch_speech_commands(data_home=home, return_X_y=True, pad=False)
    assert [x.shape for x in cut] == [(16_000, 1), (4, 1), (16_000, 1)]
    assert (cut[1] == X[1, :4]).all()


@pytest.mark.parametrize("subset", ["train", "test", "all"])
def test_sc10_has_the_ten_commands(subset, home, monkeypatch):
    monkeypatch.setattr(_fetch_arrays, "_SMALL", 0)
    every = fetch_speech_commands(subset=subset, data_home=home)
    ten = fetch_speech_commands(subset=subset, classes="sc10", data_home=home)
    command = every.target < 10
    assert (ten.data == every.data[command]).all()
    assert (ten.filenames == every.filenames[command]).all()
    assert ten.target_names.tolist() == [*module._COMMANDS]
    assert np.isin([name.split("/")[0] for name in ten.filenames], module._COMMANDS).all()
    if subset != "all":
        assert isinstance(ten.data, np.memmap)


def test_recordings_of_another_kind_raise(tmp_path, monkeypatch):
    content = archive({"yes/a_nohash_0.wav": 9}, rate=8_000)
    with (
        serving_arrays(module, "_SOURCE", {"words": content}, monkeypatch),
        pytest.raises(DownloadError, match=r"Got 9 samples at 8000 Hz, of 1 channels and 2"),
    ):
        fetch_speech_commands(data_home=tmp_path, delay=0.0)


def test_the_address_has_a_checksum():
    check_addresses(module._SOURCE)


def test_wrong_parameters_raise(tmp_path):
    with pytest.raises(ValueError, match=r"'classes' parameter of fetch_speech_commands must be"):
        fetch_speech_commands(classes="sc09")
    with pytest.raises(OSError, match=r"'download_if_missing' of fetch_speech_commands is False"):
        fetch_speech_commands(data_home=tmp_path, download_if_missing=False)

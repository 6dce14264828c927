import gzip
import re
import threading

import numpy as np
import pytest

from skspike.datasets import _fetch_arrays as module
from skspike.datasets._fetch import RemoteFile
from skspike.datasets._fetch_arrays import ArraySource, fetch_arrays, find_member
from skspike.exceptions import DownloadError
from tests.datasets.server import serving, zipped

OPTIONS = {"download_if_missing": True, "n_retries": 0, "delay": 0.0}
MEMBERS = {"a/train.txt": b"3 1 2", "a/test.txt": b"7", "a/other.txt": b"!"}


def convert(folders, store):
    for subset in ("train", "test"):
        (path,) = folders["file"].rglob(f"{subset}.txt")
        numbers = np.array(path.read_text().split(), int)
        data = store.create(subset, "data", (len(numbers), 2), np.int16)
        data[:, 1] = numbers
        store.save(subset, target=numbers, target_names=np.array(["x", "y"]))


def convert_ragged(folders, store):
    for subset, lengths in (("train", [2, 0, 1]), ("test", [4])):
        store.save(subset, data=np.arange(sum(lengths)), offsets=np.cumsum([0, *lengths]))


@pytest.fixture
def served():
    with serving(zipped(MEMBERS)) as served:
        yield served


@pytest.fixture
def make(served):
    def make(convert=convert, **options):
        files = {"file": RemoteFile("file.zip", served.url, served.checksum)}
        return ArraySource("some", "", ("train", "test"), files, convert, **options)

    return make


def get(source, tmp_path, subset="train", **options):
    return fetch_arrays("fetch_some", source, subset, data_home=tmp_path, **OPTIONS | options)


def tree(folder):
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return [path for path in found if not path.endswith((".lock", ".npy"))]


def test_subsets_are_converted_once_and_only_arrays_stay(make, served, tmp_path):
    train = get(make(), tmp_path)
    assert train["data"].tolist() == [[0, 3], [0, 1], [0, 2]]
    assert train["target"].tolist() == [3, 1, 2]
    assert get(make(), tmp_path, "test", download_if_missing=False)["target"].tolist() == [7]
    every = get(make(), tmp_path, "all")
    assert every["data"][:, 1].tolist() == [3, 1, 2, 7]
    assert every["target_names"].tolist() == ["x", "y"]
    assert served.asked == [None]
    assert tree(tmp_path) == ["some", "some/arrays", "some/arrays/test", "some/arrays/train"]


def test_ragged_sequences_are_views_on_one_array(make, tmp_path):
    every = get(make(convert_ragged), tmp_path, "all")
    assert [x.tolist() for x in every["data"]] == [[0, 1], [], [2], [0, 1, 2, 3]]
    train = get(make(convert_ragged), tmp_path)["data"]
    assert train.dtype == object
    assert np.shares_memory(train[0].base, train[2].base)


def test_large_arrays_are_mapped_and_small_ones_are_read(make, tmp_path, monkeypatch):
    assert not isinstance(get(make(), tmp_path)["data"], np.memmap)
    monkeypatch.setattr(module, "_SMALL", 0)
    data = get(make(), tmp_path)["data"]
    assert isinstance(data, np.memmap)
    assert not data.flags.writeable


def test_files_may_stay_packed_and_archives_may_stay(served, make, tmp_path):
    def convert_packed(files, store):
        for subset in ("train", "test"):
            store.save(subset, data=np.frombuffer(files["file"].read_bytes(), np.uint8))

    data = get(make(convert_packed, unpack=False), tmp_path)["data"]
    assert data.tobytes() == served.content
    assert get(make(part="one", keep=True), tmp_path)["data"].shape == (3, 2)
    assert get(make(part="two", keep=True), tmp_path)["data"].shape == (3, 2)
    assert len(served.asked) == 2
    assert {"some/arrays", "some/file.zip", "some/one", "some/two"} <= set(tree(tmp_path))


def test_only_wanted_members_are_unpacked(make, tmp_path):
    seen = []

    def look(folders, store):
        seen.extend(path.name for path in folders["file"].rglob("*.txt"))
        convert(folders, store)

    get(make(look, wanted=lambda name: "other" not in name), tmp_path)
    assert sorted(seen) == ["test.txt", "train.txt"]


def test_an_error_of_the_conversion_keeps_the_archive(make, served, tmp_path):
    def fail(folders, store):
        convert(folders, store)
        raise KeyError("target")

    with pytest.raises(KeyError):
        get(make(fail), tmp_path)
    assert tree(tmp_path) == ["some", "some/file.zip"]
    assert get(make(), tmp_path)["target"].tolist() == [3, 1, 2]
    assert served.asked == [None]


def test_an_archive_without_a_checksum_is_checked_when_it_is_unpacked(make, tmp_path):
    (tmp_path / "some").mkdir()
    path = tmp_path / "some" / "file.zip"
    path.write_bytes(gzip.compress(b"text"))
    source = make()
    files = {"file": RemoteFile("file.zip", source.archives["file"].url, None)}
    source = ArraySource("some", "", source.subsets, files, convert)
    with pytest.raises(DownloadError, match=r"must be a zip or a tar archive"):
        get(source, tmp_path)
    path.unlink()
    assert get(source, tmp_path)["target"].tolist() == [3, 1, 2]


def test_what_is_missing_raises_if_it_may_not_be_downloaded(make, served, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'download_if_missing' of fetch_some is False"):
        get(make(), tmp_path, download_if_missing=False)
    assert served.asked == []
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "file.zip").write_bytes(served.content)
    assert len(get(make(), tmp_path, download_if_missing=False)["data"]) == 3
    assert served.asked == []


def test_two_threads_convert_once(make, served, tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(get(make(), tmp_path)["target"]))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [target.tolist() for target in found] == [[3, 1, 2]] * 2
    assert served.asked == [None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": "valid"}, "The 'subset' parameter of fetch_some must be one of ['all', 'test'"),
        ({"n_retries": -1}, "The 'n_retries' parameter of fetch_some must be an int in the range"),
        ({"delay": float("nan")}, "The 'delay' parameter of fetch_some must be a float"),
    ],
)
def test_parameters_are_checked(make, tmp_path, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        get(make(), tmp_path, **options)


def test_a_member_is_found_at_any_depth_or_missed(tmp_path):
    (tmp_path / "release" / "a").mkdir(parents=True)
    (tmp_path / "release" / "a" / "b.tsv").touch()
    found = find_member(tmp_path / "release", "b.tsv")
    assert found == tmp_path / "release" / "a" / "b.tsv"
    with pytest.raises(DownloadError, match=r"The archive 'release' must have a member 'c.tsv'"):
        find_member(tmp_path / "release", "c.tsv")

import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skspike import datasets
from skspike.datasets._fetch import RemoteFile, Source, convert_files, fetch
from skspike.exceptions import DownloadError, EventLossWarning
from tests.datasets.server import serving, zipped


def event(x, t):
    """One event as in N-MNIST, in row 2, of positive polarity."""
    return bytes([x, 2, 0x80, t >> 8, t & 255])


TRAIN = {
    "Train/b/2.bin": event(3, 300) + event(4, 400),
    "Train/a/10.bin": event(1, 100),
    "Train/a/1.bin": event(2, 200),
    "Train/a/._1.bin": b"?",
    "README": b"text",
}
TEST = {"Test/b/7.bin": event(5, 500)}


def convert(files, add):
    return convert_files(files, add, sensor_size=(8, 6), batch=2)


@pytest.fixture
def servers():
    with serving(zipped(TRAIN)) as train, serving(zipped(TEST)) as test:
        yield {"train": train, "test": test}


@pytest.fixture
def source(servers):
    archives = {k: RemoteFile(f"{k}.zip", s.url, s.checksum) for k, s in servers.items()}
    return Source("some", "What it is.", archives, convert)


@pytest.fixture
def get(source, tmp_path):
    def get(subset="train", return_X_y=False, source=source, **options):
        defaults = {
            "data_home": tmp_path,
            "download_if_missing": True,
            "n_retries": 0,
            "delay": 0.0,
            "verbose": False,
        }
        return fetch("fetch_some", source, subset, return_X_y, **defaults | options)

    return get


def tree(folder):
    found = sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*"))
    return [path for path in found if not path.endswith(".lock")]


CACHE = ["/events", "/events/events.npy", "/events/meta.json", "/events/offsets.npy", "/labels.npz"]


def test_recordings_are_sorted_and_named(get):
    loaded = get()
    assert loaded.filenames.tolist() == ["Train/a/1.bin", "Train/a/10.bin", "Train/b/2.bin"]
    assert loaded.target.tolist() == [0, 0, 1]
    assert loaded.target_names.tolist() == ["a", "b"]
    assert loaded.groups is None
    assert loaded.DESCR == "What it is."
    assert loaded.data.sensor_size == (8, 6)
    assert [recording["t"].tolist() for recording in loaded.data] == [[200], [100], [300, 400]]
    X, y = get(return_X_y=True)
    assert loaded.data == X
    assert y.tolist() == [0, 0, 1]


def test_the_second_call_needs_no_server_and_only_the_cache_stays(get, servers, tmp_path):
    get()
    servers["train"].statuses = [404]
    assert isinstance(get(download_if_missing=False).data[0].base, np.ndarray)
    assert servers["train"].asked == [None]
    assert servers["test"].asked == []
    assert tree(tmp_path) == ["some", "some/train", *("some/train" + name for name in CACHE)]


def test_all_is_the_subsets_in_order(get, servers):
    train = get()
    both = get("all")
    assert both.data[:3] == train.data
    assert both.data[3:] == get("test").data
    assert both.target.shape == (4,)
    assert both.filenames[3] == "Test/b/7.bin"
    assert get("all").data == both.data
    assert [len(server.asked) for server in servers.values()] == [1, 1]


def test_classes_of_all_are_numbered_in_one_way(get):
    both = get("all")
    assert get("test").target_names.tolist() == ["b"]
    assert both.target_names.tolist() == ["a", "b"]
    assert both.target.tolist() == [0, 0, 1, 1]


def test_labels_that_some_subsets_lack_are_left_out_of_all(get, source):
    def label(files, add):
        labels = convert(files, add)
        return {**labels, "groups": labels["target"]} if len(labels["target"]) == 3 else labels

    source = Source("other", "", source.archives, label)
    assert get(source=source).groups.tolist() == [0, 0, 1]
    assert get("all", source=source).groups is None


def test_a_batch_of_any_size_gives_the_same(get, source):
    def at_once(files, add):
        return convert_files(files, add, sensor_size=(8, 6), batch=99)

    whole = get(source=Source("other", "", source.archives, at_once))
    assert get().data == whole.data
    assert get().filenames.tolist() == whole.filenames.tolist()


def test_what_is_missing_raises_if_it_may_not_be_downloaded(get, servers, tmp_path):
    for subset in ("train", "all"):
        with pytest.raises(
            OSError, match=r"Data not found and 'download_if_missing' of fetch_some"
        ):
            get(subset, download_if_missing=False)
    assert servers["train"].asked == []
    assert tree(tmp_path) == []


def test_an_archive_that_somebody_put_there_is_used(get, servers, tmp_path):
    (tmp_path / "some").mkdir()
    archive = tmp_path / "some" / "train.zip"
    archive.write_bytes(b"another")
    with pytest.raises(FileNotFoundError):
        get(download_if_missing=False)
    archive.write_bytes(servers["train"].content)
    assert len(get(download_if_missing=False).data) == 3
    assert servers["train"].asked == []


@pytest.fixture(params=["folders", "archives"])
def shared(request):
    """One archive for both subsets, in a folder or an archive each."""
    if request.param == "folders":
        content, members = zipped({**TRAIN, **TEST}), ("Train", "Test")
    else:
        members = ("inner/train.zip", "inner/test.zip")
        content = zipped(dict(zip(members, (zipped(TRAIN), zipped(TEST)), strict=True)))
    with serving(content) as server:
        archives = {
            name: RemoteFile("both.zip", server.url, server.checksum, member)
            for name, member in zip(("train", "test"), members, strict=True)
        }
        yield Source("shared", "", archives, convert), server


def test_an_archive_of_several_subsets_is_loaded_and_converted_once(get, shared, tmp_path):
    source, server = shared
    test = get("test", source=source)
    assert test.data == get("test").data
    assert get("train", source=source, download_if_missing=False).data == get().data
    assert get("all", source=source).data == get("all").data
    assert server.asked == [None]
    assert {path.name for path in (tmp_path / "shared").iterdir()} >= {"train", "test", "all"}
    assert not (tmp_path / "shared" / "both.zip").exists()


def test_an_archive_of_several_subsets_goes_on_after_an_error(get, shared):
    source, server = shared
    failures = [KeyError("labels")]

    def fail_once(files, add):
        if failures and list(files.rglob("7.bin")):
            raise failures.pop()
        return convert(files, add)

    failing = Source("shared", "", source.archives, fail_once)
    with pytest.raises(KeyError):
        get("all", source=failing)
    assert len(get("all", source=failing, download_if_missing=False).data) == 4
    assert server.asked == [None]


def test_an_archive_without_a_subset_raises(get, shared):
    source, _ = shared
    archives = {k: replace(remote, member="elsewhere") for k, remote in source.archives.items()}
    with pytest.raises(DownloadError, match=r"both.zip' must hold 'elsewhere'\. Got none"):
        get(source=Source("shared", "", archives, convert))


def test_an_archive_without_recordings_raises(get):
    with serving(zipped({"README": b"text"})) as server:
        archives = {"train": RemoteFile("train.zip", server.url, server.checksum)}
        with pytest.raises(DownloadError, match=r"must hold files that end in '\.bin'\. Got none"):
            get(source=Source("some", "", archives, convert))


def test_what_people_can_get_elsewhere_is_said(get, source, servers, tmp_path):
    archives = {k: replace(r, by_hand="from a friend") for k, r in source.archives.items()}
    servers["train"].statuses = [404]
    with pytest.raises(DownloadError) as caught:
        get(source=replace(source, archives=archives))
    target = str(tmp_path / "some" / "train.zip")
    assert str(caught.value).endswith(
        f"answers 404 Not Found. Get it from a friend, and put it at {target!r}."
    )
    servers["train"].statuses = [404]
    with pytest.raises(DownloadError, match=r"answers 404 Not Found\.$"):
        get()


def test_an_archive_of_another_checksum_is_named_when_there_is_no_other(get, servers, tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "train.zip").write_bytes(b"another")
    servers["train"].statuses = [404]
    with pytest.raises(DownloadError, match=r"Not Found\. '.*train.zip' is there, and has another"):
        get()
    assert (tmp_path / "some" / "train.zip").read_bytes() == b"another"


def test_what_no_server_has_is_put_there_by_hand_and_stays(get, servers, tmp_path):
    remote = RemoteFile("train.zip", None, None, by_hand="from a friend")
    source = Source("some", "", {"train": remote}, convert)
    target = tmp_path / "some" / "train.zip"
    with pytest.raises(DownloadError) as caught:
        get(source=source)
    assert str(caught.value) == (
        f"train.zip cannot be downloaded. Get it from a friend, and put it at {str(target)!r}."
    )
    with pytest.raises(FileNotFoundError):
        get(source=source, download_if_missing=False)
    target.write_bytes(servers["train"].content)
    assert len(get(source=source, download_if_missing=False).data) == 3
    assert target.exists()


def test_a_broken_download_goes_on_in_the_next_call(get, servers):
    server = servers["train"]
    server.breaks, server.statuses = [100], []
    server.ranges = False
    server.breaks = [100, 50]
    with pytest.raises(DownloadError, match=r"ended after 50 of"):
        get()
    server.ranges = True
    assert len(get().data) == 3
    assert server.asked == [None, "bytes=100-", "bytes=50-"]


def test_what_a_killed_process_left_does_not_disturb(get, tmp_path):
    left = tmp_path / "some" / ".train" / "files" / "Train" / "c"
    left.mkdir(parents=True)
    (left / "1.bin").write_bytes(event(1, 1))
    assert get().target_names.tolist() == ["a", "b"]


def test_a_wrong_checksum_leaves_nothing(get, source, tmp_path):
    url = source.archives["train"].url
    archives = {"train": RemoteFile("train.zip", url, "md5:" + "0" * 32)}
    with pytest.raises(DownloadError, match=r"must have the checksum 'md5:0+'"):
        get(source=Source("some", "", archives, convert))
    assert tree(tmp_path) == ["some"]


def test_an_error_of_the_conversion_keeps_the_archive(get, source, tmp_path):
    def fail(files, add):
        raise KeyError("labels")

    with pytest.raises(KeyError):
        get(source=Source("some", "", source.archives, fail))
    assert tree(tmp_path) == ["some", "some/train.zip"]
    assert len(get().data) == 3


def test_recordings_without_a_label_raise(get, source, tmp_path):
    def forget(files, add):
        labels = convert(files, add)
        return {**labels, "target": labels["target"][1:]}

    with pytest.raises(ValueError, match=r"train.zip' must hold 2 recordings, .* Got 3 instead"):
        get(source=Source("some", "", source.archives, forget))
    assert tree(tmp_path) == ["some", "some/train.zip"]


def test_bytes_that_are_no_events_are_told(get, servers):
    content = zipped({"Train/a/1.bin": event(1, 1) + b"123", "Train/b/2.bin": event(1, 1)})
    with serving(content) as server:
        archives = {"train": RemoteFile("train.zip", server.url, server.checksum)}
        with pytest.warns(EventLossWarning, match=r"1\.bin"):
            X, _ = get(source=Source("some", "", archives, convert), return_X_y=True)
    assert X.lengths.tolist() == [1, 1]


def test_two_threads_convert_once(get, servers):
    found, errors = [], []

    def load():
        try:
            found.append(get("all").data)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert found[0] == found[1]
    assert len(found[0]) == 4
    assert [len(server.asked) for server in servers.values()] == [1, 1]


def test_how_far_it_is_is_told_if_asked_for(get, servers, capsys):
    get("test")
    assert capsys.readouterr().err == ""
    get(verbose=True)
    download, *conversion = capsys.readouterr().err.splitlines()
    assert download == f"{servers['train'].url}: 0.0 of 0.0 MB"
    assert [line.rpartition("train.zip: ")[2] for line in conversion] == [
        "unpacking",
        "2 recordings converted",
        "3 recordings converted",
    ]


@pytest.mark.parametrize(
    "name", [n for n in datasets.__all__ if "fetch" in vars(datasets)[n].__globals__]
)
def test_every_fetcher_hands_its_options_on(name, monkeypatch):
    fetcher = getattr(datasets, name)
    called = []
    monkeypatch.setitem(fetcher.__globals__, "fetch", lambda *args, **kw: called.append((args, kw)))
    options = {"data_home": "x", "download_if_missing": 0, "n_retries": 7, "delay": 8, "verbose": 9}
    fetcher(return_X_y=True, **options)
    ((owner, *_, return_X_y), handed_on) = called[0]
    assert (owner, return_X_y, handed_on) == (name, True, options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": "valid"}, "The 'subset' parameter of fetch_some must be one of ['all', 'test'"),
        ({"n_retries": -1}, "The 'n_retries' parameter of fetch_some must be an int in the range"),
        ({"delay": float("nan")}, "The 'delay' parameter of fetch_some must be a float"),
    ],
)
def test_parameters_are_checked(get, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        get(**options)

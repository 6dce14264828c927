import os
import socket
import threading

import pytest

import skspike.datasets._download as module
from skspike.datasets._download import download
from skspike.exceptions import DownloadError
from tests.datasets.server import serving, zipped

CONTENT = os.urandom(1000)


@pytest.fixture
def served():
    with serving(CONTENT) as served:
        yield served


def get(served, tmp_path, **options):
    options = {"n_retries": 1, "delay": 0.0, "checksum": served.checksum, **options}
    return download(served.url, tmp_path / "file.zip", **options)


def files(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock")


def test_a_file_is_loaded_once(served, tmp_path):
    path = get(served, tmp_path)
    assert path.read_bytes() == CONTENT
    assert get(served, tmp_path) == path
    assert served.asked == [None]
    assert files(tmp_path) == ["file.zip"]


def test_a_file_of_another_checksum_is_replaced(served, tmp_path):
    (tmp_path / "file.zip").write_bytes(b"old")
    assert get(served, tmp_path).read_bytes() == CONTENT


def test_a_digest_in_capitals_of_either_method_counts(served, tmp_path):
    md5 = module._checksum(get(served, tmp_path), "md5:")
    get(served, tmp_path, checksum="md5:" + md5[4:].upper())
    assert len(served.asked) == 1


def test_a_broken_transfer_goes_on_where_it_broke_off(served, tmp_path):
    served.breaks = [300, 400]
    assert get(served, tmp_path, n_retries=0).read_bytes() == CONTENT
    assert served.asked == [None, "bytes=300-", "bytes=700-"]


def test_a_later_call_goes_on_too(served, tmp_path):
    (tmp_path / "file.zip.part").write_bytes(CONTENT[:600])
    assert get(served, tmp_path).read_bytes() == CONTENT
    assert served.asked == ["bytes=600-"]


def test_a_server_without_ranges_starts_anew(served, tmp_path):
    served.ranges = False
    served.breaks = [300]
    assert get(served, tmp_path).read_bytes() == CONTENT
    assert served.asked == [None, "bytes=300-"]


def test_a_server_that_always_breaks_off_is_given_up(served, tmp_path):
    served.ranges = False
    served.breaks = [300] * 10
    with pytest.raises(DownloadError, match=r"ended after 300 of 1,000 bytes"):
        get(served, tmp_path, n_retries=2)
    assert len(served.asked) == 4
    assert files(tmp_path) == ["file.zip.part"]


def test_a_file_that_changes_meanwhile_starts_anew(served, tmp_path, monkeypatch):
    served.breaks = [300]
    new = bytes(reversed(CONTENT))
    checksum = module._checksum(_write(tmp_path / "new", new), "md5:")

    def change(delay):
        served.content, served.tag = new, '"2"'

    monkeypatch.setattr(module.time, "sleep", change)
    assert get(served, tmp_path, checksum=checksum).read_bytes() == new
    assert served.asked == [None, "bytes=300-"]


def _write(path, content):
    path.write_bytes(content)
    return path


def test_a_part_of_another_file_starts_anew(served, tmp_path):
    (tmp_path / "file.zip.part").write_bytes(b"x" * 600)
    assert get(served, tmp_path).read_bytes() == CONTENT
    assert served.asked == ["bytes=600-", None]


@pytest.mark.parametrize("size", [1000, 1200])
def test_a_part_that_is_too_long_starts_anew(served, tmp_path, size):
    (tmp_path / "file.zip.part").write_bytes(b"x" * size)
    assert get(served, tmp_path, n_retries=0).read_bytes() == CONTENT
    assert served.asked == [f"bytes={size}-", None]


def test_a_wrong_range_starts_anew(served, tmp_path):
    (tmp_path / "file.zip.part").write_bytes(CONTENT[:600])
    served.shift = 1
    assert get(served, tmp_path, n_retries=0).read_bytes() == CONTENT
    assert served.asked == ["bytes=600-", None]


def test_parts_that_are_shorter_than_asked_for_are_put_together(served, tmp_path):
    (tmp_path / "file.zip.part").write_bytes(CONTENT[:600])
    served.most = 150
    assert get(served, tmp_path, n_retries=0).read_bytes() == CONTENT
    assert served.asked == ["bytes=600-", "bytes=750-", "bytes=900-"]


def test_a_wrong_checksum_raises_with_both(served, tmp_path):
    wrong = "md5:" + 32 * "0"
    with pytest.raises(DownloadError, match=rf"checksum '{wrong}'. Got 'md5:[0-9a-f]+' instead"):
        get(served, tmp_path, checksum=wrong)
    assert files(tmp_path) == []


@pytest.mark.parametrize(("status", "phrase"), [(404, "Not Found"), (202, "Accepted")])
def test_a_file_that_is_refused_raises_at_once(served, tmp_path, status, phrase):
    served.statuses = [status]
    with pytest.raises(DownloadError, match=rf"downloaded: the server answers {status} {phrase}"):
        get(served, tmp_path, n_retries=5)
    assert len(served.asked) == 1
    assert files(tmp_path) == []


def test_a_busy_server_is_asked_again_ever_later(served, tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    served.statuses = [503, 429]
    assert get(served, tmp_path, n_retries=2, delay=0.5).read_bytes() == CONTENT
    assert slept == [0.5, 1.0]
    (tmp_path / "file.zip").unlink()
    served.statuses = [503, 503]
    with pytest.raises(DownloadError, match=r"answers 503"):
        get(served, tmp_path, n_retries=1)


def test_no_network_raises(tmp_path):
    with serving(b"") as gone:
        pass
    with pytest.raises(DownloadError, match=r"cannot be downloaded: the server cannot be reached"):
        get(gone, tmp_path)


def test_a_silent_server_counts_as_broken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(DownloadError, match=r"timed out"):
            download(url, tmp_path / "f", checksum="md5:0", n_retries=0, timeout=0.05)


def test_two_threads_load_a_file_once(served, tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(get(served, tmp_path).read_bytes()))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT, CONTENT]
    assert served.asked == [None]


def test_progress_is_told_if_asked_for(served, tmp_path, capsys):
    get(served, tmp_path)
    assert capsys.readouterr().err == ""
    (tmp_path / "file.zip").unlink()
    get(served, tmp_path, verbose=True)
    assert "0.0 of 0.0 MB" in capsys.readouterr().err


def test_without_a_checksum_an_archive_is_compared_with_its_own(tmp_path):
    whole = zipped({"x": bytes(1000)})
    with serving(whole) as served:
        served.breaks = [300]
        assert get(served, tmp_path, checksum=None).read_bytes() == whole
        assert served.asked == [None, "bytes=300-"]
        assert get(served, tmp_path, checksum=None).exists()
        assert len(served.asked) == 2


def test_without_a_checksum_a_mixture_of_two_versions_is_loaded_anew(tmp_path):
    whole = zipped({"x": bytes(1000)})
    (tmp_path / "file.zip.part").write_bytes(b"?" * 300)
    with serving(whole) as served:
        assert get(served, tmp_path, checksum=None).read_bytes() == whole
        assert served.asked == ["bytes=300-", None]


def test_without_a_checksum_no_archive_raises(tmp_path):
    whole = r"must be an archive that is whole\. Got one"
    with serving(b"<html>") as served, pytest.raises(DownloadError, match=whole):
        get(served, tmp_path, checksum=None)
    assert files(tmp_path) == []


def test_a_text_without_a_checksum_is_never_a_mixture(tmp_path):
    (tmp_path / "times.txt.part").write_bytes(b"12")
    with serving(b"34\n56\n") as served:
        path = download(served.url, tmp_path / "times.txt", checksum=None)
        assert served.asked == [None]
    assert path.read_text() == "34\n56\n"

import errno
import os

import pytest

from skspike.datasets import _transfer as module
from skspike.datasets._transfer import BrokenOffError, Transfer
from skspike.exceptions import DownloadError
from tests.datasets.server import serving

CONTENT = os.urandom(1000)


@pytest.fixture
def served():
    with serving(CONTENT) as served:
        yield served


@pytest.fixture
def transfer(served, tmp_path):
    return Transfer(served.url, tmp_path / "part", 10.0, False)


def test_a_part_that_is_shorter_than_asked_for_counts_as_broken(served, transfer):
    transfer.part.write_bytes(CONTENT[:600])
    served.most = 150
    with pytest.raises(BrokenOffError, match=r"it ended after 750 of 1,000 bytes"):
        transfer.request()
    assert transfer.part.read_bytes() == CONTENT[:750]


def test_a_part_that_nobody_asked_for_counts_as_broken(served, transfer):
    served.unasked, served.shift = True, 1
    with pytest.raises(BrokenOffError, match=r"the server sends a part of the file unasked"):
        transfer.request()
    assert transfer.size() == 0


@pytest.mark.parametrize("length", [None, "many"])
def test_a_length_need_not_be_told(served, transfer, length):
    served.length = length
    transfer.request()
    assert transfer.part.read_bytes() == CONTENT


def test_a_full_disk_is_no_fault_of_the_server(transfer, monkeypatch):
    def full(self, block):
        with self._named():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module._Output, "write", full)
    with pytest.raises(DownloadError, match=r"part' cannot be written: No space left"):
        transfer.request()


QUESTION = """<!DOCTYPE html><html><head><title>Virus scan warning</title></head><body>
<form id="other" action="/other"><input name="x" value="1"></form>
<form id="download-form" action="{action}" method="get">
<input type="submit" value="Download anyway"/><input type="hidden" name="id" value="a&amp;b"/>
<input type="hidden" name="confirm" value="t"></form><input name="more" value="2"></body></html>"""


@pytest.mark.parametrize("begun", [0, 600])
def test_a_server_that_asks_back_is_answered(served, transfer, begun):
    if begun:
        transfer.part.write_bytes(CONTENT[:begun])
    served.pages = [QUESTION.format(action="/download")]
    transfer.request()
    assert transfer.part.read_bytes() == CONTENT
    assert served.asked == ([f"bytes={begun}-"] * 2 if begun else [None] * 2)
    assert served.paths == ["/file", "/download?id=a%26b&confirm=t"]


def test_a_server_that_asks_back_is_answered_each_time(served, transfer):
    page = QUESTION.format(action=served.url.replace("/file", "/sure"))
    served.pages, served.breaks = [page], [300]
    with pytest.raises(BrokenOffError):
        transfer.request()
    served.pages = [page]
    transfer.request()
    assert transfer.part.read_bytes() == CONTENT
    assert served.asked == [None, None, "bytes=300-", "bytes=300-"]
    assert served.paths[1::2] == ["/sure?id=a%26b&confirm=t"] * 2


@pytest.mark.parametrize(
    ("pages", "n"),
    [
        (["<title>\nQuota exceeded</title> Try later."], 1),
        ([QUESTION.format(action="/download"), "<title>Quota exceeded</title>"], 2),
        ([QUESTION.replace("Virus scan warning", "Quota exceeded").format(action="file:/x")], 1),
    ],
)
def test_a_page_in_place_of_a_file_raises_and_keeps_what_came(served, transfer, pages, n):
    transfer.part.write_bytes(CONTENT[:600])
    served.pages = list(pages)
    with pytest.raises(DownloadError, match=r"answers with a page, 'Quota exceeded', and not with"):
        transfer.request()
    assert len(served.asked) == n
    assert transfer.part.read_bytes() == CONTENT[:600]

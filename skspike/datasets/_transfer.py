"""Transfer what is missing of a file from a server, in one answer."""

from __future__ import annotations

import http.client
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..exceptions import DownloadError
from ._page import Page

_BLOCK = 2**18  # bytes
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses that may be better next time
_TOLD = 0.05  # of the whole: how often progress is printed
_PAGE = 2**20  # bytes of a page that are looked at


class BrokenOffError(Exception):
    """The transfer ended early, for the given reason; to ask again may help."""


class Transfer:
    """A file on its way into a part."""

    def __init__(self, url: str, part: Path, timeout: float, verbose: bool) -> None:
        self.url, self.part, self.timeout, self.verbose = url, part, timeout, verbose
        self._version: str | None = None  # of the file, as the server names it

    def size(self) -> int:
        """Return how many bytes have come."""
        return self.part.stat().st_size if self.part.exists() else 0

    def request(self) -> None:
        """Ask for what the part lacks, and append it."""
        try:
            with self._answer() as response:
                begin, end = _range(response)
                if begin in (0, self.size()):
                    self._version = _version(response)
                    self._append(response, begin, end)
                    return
            if not self.size():
                raise BrokenOffError("the server sends a part of the file unasked")
        except urllib.error.HTTPError as error:
            if error.code != 416 or not self.size():
                raise self._refusal(error.code, error.reason) from error
        except urllib.error.URLError as error:
            raise BrokenOffError(f"the server cannot be reached ({error.reason})") from error
        except DownloadError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise BrokenOffError(f"the transfer broke off ({error})") from error
        self.part.unlink()  # the server's file is another, or has no more bytes
        self.request()

    def _answer(self):
        """Return an answer with bytes of the file; say yes if the server asks back."""
        response = self._ask(self.url)
        page = _read_page(response)
        if page and (address := page.address()):
            response = self._ask(address)
            page = _read_page(response)
        if page:
            raise DownloadError(
                f"{self.url} cannot be downloaded: the server answers with a page, "
                f"{page.title.strip()!r}, and not with a file."
            )
        return response

    def _ask(self, address: str):
        """Return the answer of a server, for what the part lacks."""
        request = urllib.request.Request(address, headers={"User-Agent": "skspike"})
        if self.size():
            request.add_header("Range", f"bytes={self.size()}-")
            if self._version:
                request.add_header("If-Range", self._version)
        response = urllib.request.urlopen(request, timeout=self.timeout)
        if response.status not in (200, 206):  # such as 202 and a page for people
            response.close()
            raise self._refusal(response.status, response.reason)
        return response

    def _refusal(self, status: int, phrase: str) -> Exception:
        """Return the exception for a status, by whether to ask again may help."""
        reason = f"the server answers {status} {phrase}"
        if status in _PASSING:
            return BrokenOffError(reason)
        return DownloadError(f"{self.url} cannot be downloaded: {reason}.")

    def _append(self, response, begin: int, end: int | None) -> None:
        """Write an answer to its place in the part."""
        with _Output(self.part, begin) as output:
            told = begin
            while block := response.read(_BLOCK):
                output.write(block)
                now = output.position
                if self.verbose and end and (now - told >= _TOLD * end or now == end):
                    told = now
                    print(f"{self.url}: {now / 1e6:,.1f} of {end / 1e6:,.1f} MB", file=sys.stderr)
            if end is not None and output.position != end:
                raise BrokenOffError(f"it ended after {output.position:,} of {end:,} bytes")


class _Output:
    """A part that is written: what goes wrong here is no fault of the server."""

    def __init__(self, part: Path, begin: int) -> None:
        self._part, self.position = part, begin
        with self._named():
            self._file = open(part, "r+b" if part.exists() else "w+b")  # noqa: SIM115
            self._file.truncate(begin)
            self._file.seek(begin)

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *error) -> None:
        with self._named():
            self._file.close()

    def write(self, block: bytes) -> None:
        """Append a block."""
        with self._named():
            self._file.write(block)
            self._file.flush()
        self.position += len(block)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Turn errors of the disk into ours."""
        try:
            yield
        except OSError as error:
            raise DownloadError(
                f"{str(self._part)!r} cannot be written: {error.strerror}."
            ) from error


def _range(response) -> tuple[int, int | None]:
    """Return at which byte an answer begins, and at which the file ends if it says so."""
    if response.status != 206:
        return 0, response.length
    said = re.match(r"bytes (\d+)-(\d+)/(\d*)", response.headers.get("Content-Range", ""))
    if not said:
        return -1, None
    return int(said[1]), int(said[3] or int(said[2]) + 1)  # a part may be shorter than asked for


def _read_page(response) -> Page | None:
    """Return the page that a server sends in place of a file, or None if it sends none."""
    if response.headers.get_content_type() != "text/html":
        return None
    with response:
        return Page(response.read(_PAGE), response.url)


def _version(response) -> str | None:
    """Return what names this version of a file, if the server says it."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")

"""A web server on loopback that misbehaves as told."""

from __future__ import annotations

import hashlib
import io
import re
import threading
import zipfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Served:
    """The file that is served, how, and what was asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.checksum = "sha256:" + hashlib.sha256(content).hexdigest()
        self.url = ""
        self.ranges = True  # whether parts are served
        self.breaks: list[int] = []  # after how many bytes the next answers break off
        self.statuses: list[int] = []  # of the next answers, in place of the file
        self.pages: list[str] = []  # the next answers, in place of the file
        self.tag = '"1"'
        self.length: str | None = "right"  # what is told, if anything
        self.shift = 0  # bytes by which parts are wrong
        self.most: int | None = None  # bytes of a part
        self.unasked = False  # whether a part is sent where the whole is asked for
        self.asked: list[str | None] = []  # the ranges of the requests
        self.paths: list[str] = []  # of the requests


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            served.asked.append(asked)
            served.paths.append(self.path)
            if served.statuses:
                self.send_error(served.statuses.pop(0))
                return
            if served.pages:
                self.send_page(served.pages.pop(0).encode())
                return
            if served.unasked:
                asked = asked or "bytes=0-"
            total, begin = len(served.content), 0
            same = self.headers["If-Range"] in (None, served.tag)
            if asked and served.ranges and same:
                begin = int(re.match(r"bytes=(\d+)-", asked)[1])
                if begin >= total:
                    self.send_error(416)
                    return
                begin += served.shift
                self.send_response(206)
                end = min(total, begin + (served.most or total))
                self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{total}")
            else:
                self.send_response(200)
                end = total
            body = served.content[begin:end]
            if served.length:
                length = str(len(body)) if served.length == "right" else served.length
                self.send_header("Content-Length", length)
            self.send_header("ETag", served.tag)
            self.end_headers()
            self.wfile.write(body[: served.breaks.pop(0)] if served.breaks else body)

        def send_page(self, page: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *args) -> None:
            pass

    return Handler


@contextmanager
def serving(content: bytes):
    """Serve one file under every path."""
    served = Served(content)
    with _running(_handler(served)) as url:
        served.url = f"{url}/file"
        yield served


@contextmanager
def _running(handler: type[BaseHTTPRequestHandler]):
    """Run a server, and yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class ServedFiles:
    """Files that are served under their paths, and what was asked for."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self.contents = contents
        self.url = ""
        self.asked: list[str] = []


def _path_handler(served: ServedFiles) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            served.asked.append(path)
            if path not in served.contents:
                self.send_error(404)
                return
            body = served.contents[path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args) -> None:
            pass

    return Handler


@contextmanager
def serving_files(contents: dict[str, bytes]):
    """Serve files under their paths."""
    served = ServedFiles(contents)
    with _running(_path_handler(served)) as url:
        served.url = url
        yield served


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a zip archive of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


@contextmanager
def serving_source(module, name: str, contents: dict[str, bytes], monkeypatch):
    """Let the source of a fetcher's module point to local servers; yield what is served."""
    source = getattr(module, name)
    with ExitStack() as stack:
        served = {subset: stack.enter_context(serving(c)) for subset, c in contents.items()}
        archives = {
            subset: replace(source.archives[subset], url=s.url, checksum=s.checksum)
            for subset, s in served.items()
        }
        assert archives.keys() == source.archives.keys()
        monkeypatch.setattr(module, name, replace(source, archives=archives))
        yield served


@contextmanager
def serving_arrays(module, name: str, contents: dict[str, bytes], monkeypatch, key=None):
    """Let the source of a fetcher of arrays, or one of several, point to local servers."""
    sources = getattr(module, name)
    source = sources if key is None else sources[key]
    with ExitStack() as stack:
        served = {k: stack.enter_context(serving(content)) for k, content in contents.items()}
        assert served.keys() == source.archives.keys()
        archives = {
            k: replace(
                source.archives[k], url=s.url, checksum=source.archives[k].checksum and s.checksum
            )
            for k, s in served.items()
        }
        local = replace(source, archives=archives)
        monkeypatch.setattr(module, name, local if key is None else {**sources, key: local})
        yield served


def check_addresses(source) -> None:
    """The archives of a source have names, addresses and checksums that can be told apart."""
    archives = list({archive.name: archive for archive in source.archives.values()}.values())
    members = {(archive.name, archive.member) for archive in source.archives.values()}
    assert len(members) == len(source.archives)
    for column in zip(*[(a.name, a.url, a.checksum) for a in archives], strict=True):
        assert len({*column}) == len(archives)
    for archive in archives:
        assert re.match(r"https?://\w", archive.url)
        assert re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", archive.checksum)

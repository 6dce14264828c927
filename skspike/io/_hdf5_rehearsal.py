"""Open HDF5 files in another process first: on a damaged one the library can crash, loop or ask
for all memory.

The process is started with the first HDF5 file and serves all of them. It imports h5py alone, and
is this file run as a script.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

PATIENCE = 10.0  # seconds to list what a file holds
_START = 120.0  # seconds to import h5py on a busy machine
_SMALL = 2**22  # bytes of a dataset that is read whole, in rehearsal
_TEXT = 2**28  # bytes that reading a short text may take; a damaged length claims up to 4 GB


class _Rehearsal:
    """The other process, and what it said of the last file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen | None = None
        self._owner = 0  # a forked process must not use its parent's
        self._last: tuple = (None, "")

    def __call__(self, path: Path) -> str:
        """Return what goes wrong when the file is read, or an empty text."""
        status = path.stat()
        key = (str(path.absolute()), status.st_size, status.st_mtime_ns)
        with self._lock:
            if self._last[0] != key:
                self._last = (key, self._ask(key[0]))
            return self._last[1]

    def _ask(self, path: str) -> str:
        """Have a file read, by a new process if there is none or the last one was lost."""
        try:
            if (self._child is None or self._owner != os.getpid()) and not self._start():
                self.stop()
                return ""  # without the other process files are trusted
            self._child.stdin.write(json.dumps(path) + "\n")
            self._child.stdin.flush()
        except OSError:
            self.stop()
            return ""
        answer = self._answer(PATIENCE)
        if answer:
            return "" if answer == "done" else answer
        self.stop()
        return f"the library loops for {PATIENCE:g} s" if answer is None else "the library crashes"

    def _start(self) -> bool:
        """Start the process; tell whether it has imported h5py."""
        self._owner = os.getpid()
        self._child = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._lines: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(self._child, self._lines), daemon=True).start()
        return self._answer(_START) == "ready"

    @staticmethod
    def _listen(child: subprocess.Popen, lines: queue.SimpleQueue) -> None:
        """Pass the lines that a process writes on, and its end as an empty one."""
        for line in child.stdout:
            lines.put(line.strip())
        lines.put("")

    def _answer(self, patience: float) -> str | None:
        """Return the next line of the process, or None if it takes too long."""
        try:
            return self._lines.get(timeout=patience)
        except queue.Empty:
            return None

    def stop(self) -> None:
        """End the process, if it is ours."""
        if self._child is not None and self._owner == os.getpid():
            self._child.kill()
            with contextlib.suppress(OSError), self._child:  # closes the pipes
                self._child.wait()
        self._child = None


rehearse = _Rehearsal()
atexit.register(rehearse.stop)


def _serve() -> None:
    """Read files whose names come in, and say when each is done."""
    import h5py

    print("ready", flush=True)
    for line in sys.stdin:
        answer = "done"
        # What the library can say as an exception, the other process will hear too.
        with (
            contextlib.suppress(Exception),
            h5py.File(json.loads(line), "r", locking=False) as file,
        ):
            answer = _try_text(file) or answer
            file.visititems(lambda name, item: _touch(item, h5py))
        print(answer, flush=True)


def _try_text(file) -> str:
    """Read the text that a reader reads, with little memory; return why it cannot be read."""
    try:
        with _little_memory(_TEXT):
            file.attrs.get("geometry")
    except Exception as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


@contextlib.contextmanager
def _little_memory(n_bytes: int):
    """Have allocations fail beyond so many bytes more than now, where Linux tells."""
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    limits = [limit for limit in before if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([used + n_bytes, *limits]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _touch(item, h5py) -> None:
    """Do with a group or a dataset what a reader does."""
    with contextlib.suppress(Exception):
        if isinstance(item, h5py.Group):
            for name in item:
                item.get(name)
            return
        properties = item.id.get_create_plist()
        [properties.get_filter(i) for i in range(properties.get_nfilters())]
        if item.chunks is None:
            item.id.get_offset()
        else:
            item.id.get_num_chunks()
        if item.size * item.dtype.itemsize <= _SMALL:
            item[()]
        else:
            item[:1], item[-1:]


if __name__ == "__main__":
    _serve()

"""Cheap memory for large results: that of results that are no longer in use.

The system zeroes each page of fresh memory at its first write, which costs more than the
arithmetic of a neuron, or than adding the events of a recording.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque

import numpy as np

LINE = 64  # bytes of a cache line, which vector registers had better not straddle
LARGE = 2**20  # bytes from which a buffer is worth keeping
KEEP = 2**29  # bytes kept for reuse at most


class BufferCache:
    """Large buffers, kept when their user dies and handed to the next one of about that size.

    New buffers come from numpy, which asks for huge pages where torch does not.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._free: list[np.ndarray] = []
        # Finalizers run at any moment, also inside `take`: they only append here.
        self._returned: deque[np.ndarray] = deque()
        self._lock = threading.Lock()

    def take(self, n_bytes: int) -> np.ndarray:
        """Return a buffer of `n_bytes`; its memory comes back when this very array dies."""
        with self._lock:
            self._collect()
            fitting = [b for b in self._free if n_bytes <= b.nbytes <= n_bytes + n_bytes // 4]
            buffer = min(fitting, key=len, default=None)
            if buffer is not None:
                self._free = [b for b in self._free if b is not buffer]
        if buffer is None:
            buffer = _aligned_bytes(n_bytes)
        view = buffer[:n_bytes]
        weakref.finalize(view, self._returned.append, buffer).atexit = False
        return view

    def clear(self) -> None:
        """Give all unused buffers back to the system."""
        with self._lock:
            self._collect()
            self._free.clear()

    def renew_lock(self) -> None:
        """Forget the lock in a forked child: no thread is left there that could release it."""
        self._lock = threading.Lock()

    def _collect(self) -> None:
        """Take over the buffers of dead users; over the limit, the oldest go first."""
        while self._returned:
            self._free.append(self._returned.popleft())
        excess = sum(b.nbytes for b in self._free) - self.limit
        while excess > 0:
            excess -= self._free.pop(0).nbytes


buffers = BufferCache(KEEP)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=buffers.renew_lock)


def aligned(n: int, dtype: np.dtype) -> np.ndarray:
    """Return an uninitialised array that starts where a cache line does."""
    n_bytes = n * dtype.itemsize
    buffer = buffers.take(n_bytes) if n_bytes >= LARGE else _aligned_bytes(n_bytes)
    # not `buffer.view`: its base is what `buffer` is a view of, and `buffer` itself would die
    return np.frombuffer(buffer.data, dtype)


def _aligned_bytes(n_bytes: int) -> np.ndarray:
    """Return fresh memory that starts where a cache line does."""
    buffer = np.empty(n_bytes + LINE, np.uint8)
    start = -buffer.ctypes.data % LINE
    return buffer[start : start + n_bytes]

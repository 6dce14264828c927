"""One small thread pool for compiled kernels that release the GIL.

Numba's own threading layers are either not fork-safe (OpenMP) or not safe under concurrent
calls (workqueue); plain threads are both, and compile several times faster.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

CHUNKS_PER_THREAD = 8  # with fewer, a piece that is a little larger keeps the others waiting

_lock = threading.Lock()
_worker = threading.local()
_pool: ThreadPoolExecutor | None = None


def _mark_worker() -> None:
    _worker.inside = True


def _get_pool() -> ThreadPoolExecutor:
    """Return the pool of this process, made at first use."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count() or 1, "skspike", initializer=_mark_worker)
        return _pool


def _forget_pool() -> None:
    """Drop the parent's pool in a forked child: its threads did not survive the fork."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def parallel_for(body: Callable[[int, int], object], n: int, *, grain: int, n_threads: int) -> None:
    """Call ``body(start, stop)`` on contiguous chunks that cover ``range(n)``.

    Chunks hold at least `grain` items. The calling thread and up to ``n_threads - 1`` others take
    chunk after chunk; who finds a busy machine and starts late finds less left to do, and nobody
    waits for a thread that has not started. A call from inside the pool runs serially.
    """
    n_chunks = min(CHUNKS_PER_THREAD * n_threads, n // max(grain, 1))
    if n_chunks < 2 or n_threads < 2 or getattr(_worker, "inside", False):
        body(0, n)
        return
    chunks = itertools.pairwise([n * i // n_chunks for i in range(n_chunks + 1)])
    tickets = iter(list(chunks))  # taking from a list iterator is atomic

    def work() -> None:
        for start, stop in tickets:
            body(start, stop)

    others = [_get_pool().submit(work) for _ in range(min(n_threads, n_chunks) - 1)]
    try:
        work()
    finally:
        # The buffers must outlive every chunk that was begun, whatever happened in this thread.
        begun = [other for other in others if not other.cancel()]
        wait(begun)
    for other in begun:
        other.result()

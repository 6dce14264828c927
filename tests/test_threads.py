"""The pool that runs compiled kernels: each item once, errors out, nothing hangs."""

from __future__ import annotations

import multiprocessing
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from skspike import _threads
from skspike._threads import parallel_for


def chunks_of(n, **options):
    """Return the chunks that the body was called on, in order."""
    chunks = []
    parallel_for(lambda start, stop: chunks.append((start, stop)), n, **options)
    return sorted(chunks)


@pytest.mark.parametrize("n", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("grain", [0, 1, 3, 64, 5000])
@pytest.mark.parametrize("n_threads", [1, 2, 5, 100])
def test_chunks_cover_the_range_once(n_threads, grain, n):
    chunks = chunks_of(n, grain=grain, n_threads=n_threads)
    assert chunks[0][0] == 0
    assert chunks[-1][1] == n
    assert all(a[1] == b[0] for a, b in pairwise(chunks))
    assert n_threads > 1 or len(chunks) == 1
    assert len(chunks) <= _threads.CHUNKS_PER_THREAD * n_threads
    assert min(stop - start for start, stop in chunks) >= min(n, grain)


def test_an_empty_range_is_one_empty_chunk():
    assert chunks_of(0, grain=1, n_threads=4) == [(0, 0)]


def test_chunks_run_at_the_same_time():
    both_here = threading.Barrier(2, timeout=30)
    names = []

    def body(start, stop):
        both_here.wait()
        names.append(threading.current_thread().name)

    parallel_for(body, 2, grain=1, n_threads=2)
    assert threading.current_thread().name in names
    assert [name for name in names if name.startswith("skspike")]


@pytest.mark.parametrize("guilty", range(4))
def test_an_error_comes_out_and_no_chunk_runs_on(guilty):
    running = set()

    def body(start, stop):
        running.add(start)
        threading.Event().wait(0.02)
        running.discard(start)
        if start == guilty:
            raise ValueError(f"chunk {start}")

    with pytest.raises(ValueError, match=f"chunk {guilty}"):
        parallel_for(body, 4, grain=1, n_threads=4)
    assert not running


def test_nobody_waits_for_a_thread_that_does_not_start():
    release = threading.Event()
    pool = _threads._get_pool()
    blockers = [pool.submit(release.wait, 60) for _ in range(pool._max_workers)]
    try:
        assert chunks_of(64, grain=1, n_threads=2)[-1][1] == 64
        assert not release.is_set()
    finally:
        release.set()
    assert all(blocker.result() for blocker in blockers)


def test_a_call_inside_the_pool_is_serial():
    inner = {}

    def body(start, stop):
        inner[threading.current_thread().name] = chunks_of(8, grain=1, n_threads=4)

    both_here = threading.Barrier(2, timeout=30)
    parallel_for(lambda *chunk: (both_here.wait(), body(*chunk)), 2, grain=1, n_threads=2)
    (in_pool,) = (found for name, found in inner.items() if name.startswith("skspike"))
    assert in_pool == [(0, 8)]


def test_many_callers_with_nested_calls_do_not_deadlock():
    def body(start, stop):
        assert chunks_of(6, grain=1, n_threads=3)[-1][1] == 6

    with ThreadPoolExecutor(8) as callers:
        calls = [callers.submit(parallel_for, body, 9, grain=1, n_threads=3) for _ in range(100)]
        for call in calls:
            call.result(timeout=60)


def _exit_after_a_barrier():
    """In a forked child: end with 0 if two chunks met, so that a thread of its own exists."""
    both_here = threading.Barrier(2, timeout=30)
    parallel_for(lambda *chunk: both_here.wait(), 2, grain=1, n_threads=2)


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork"
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_its_own_pool():
    chunks_of(4, grain=1, n_threads=4)
    assert _threads._pool is not None
    child = multiprocessing.get_context("fork").Process(target=_exit_after_a_barrier)
    with _threads._lock:  # as if another thread were making the pool just now
        child.start()
    child.join(60)
    if child.is_alive():
        child.kill()
    assert child.exitcode == 0


def test_the_pool_bears_the_name_of_the_package():
    chunks_of(4, grain=1, n_threads=4)
    assert any(re.match(r"skspike_\d+", thread.name) for thread in threading.enumerate())

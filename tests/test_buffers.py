"""Buffers that are kept for reuse."""

from __future__ import annotations

import gc
import multiprocessing
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from skspike import _buffers
from skspike._buffers import BufferCache, aligned

KB = 1024


def address(buffer):
    return buffer.__array_interface__["data"][0]


@pytest.fixture
def cache():
    return BufferCache(limit=64 * KB)


def test_the_buffer_of_a_dead_view_is_handed_out_again(cache):
    first = cache.take(8 * KB)
    where = address(first)
    del first
    second = cache.take(8 * KB)
    assert address(second) == where
    assert second.nbytes == 8 * KB


@pytest.mark.parametrize(("n_bytes", "reused"), [(8 * KB, True), (7 * KB, True), (6 * KB, False)])
def test_a_buffer_serves_sizes_down_to_four_fifths(cache, n_bytes, reused):
    first = cache.take(8 * KB)
    where = address(first)
    del first
    assert (address(cache.take(n_bytes)) == where) == reused


def test_too_small_a_buffer_is_not_handed_out(cache):
    del_me = cache.take(8 * KB)
    del del_me
    assert cache.take(8 * KB + 1).nbytes == 8 * KB + 1


def test_the_tightest_fit_is_taken(cache):
    views = [cache.take(n * KB) for n in (10, 9, 12)]
    tight = address(views[1])
    views.clear()
    assert address(cache.take(9 * KB)) == tight


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[3:],
        lambda x: x.view(torch.float64)[::2],
        lambda x: x.numpy()[5:][::2],
        lambda x: memoryview(x.numpy()),
        lambda x: torch.from_numpy(x.numpy()[1:]),
    ],
)
def test_no_buffer_is_handed_out_while_a_view_of_its_tensor_lives(cache, view):
    buffer = cache.take(8 * KB)
    where = address(buffer)
    alive = view(torch.from_numpy(buffer))
    del buffer
    gc.collect()
    others = [cache.take(8 * KB) for _ in range(3)]
    assert where not in [address(other) for other in others]
    del alive
    assert address(cache.take(8 * KB)) == where


def test_above_the_limit_the_oldest_buffers_go(cache):
    views = [cache.take(24 * KB) for _ in range(4)]
    addresses = [address(view) for view in views]
    while views:
        del views[0]
    cache._collect()
    assert [address(b) for b in cache._free] == addresses[2:]  # 48 KB of 96 fit into 64


def test_clear_keeps_nothing(cache):
    del_me = cache.take(8 * KB)
    del del_me
    cache.clear()
    assert not cache._free
    assert not cache._returned


def test_threads_never_share_a_buffer(cache):
    """Each thread marks its buffers and looks whether the mark is still there."""

    def work(mark):
        rng = random.Random(mark)
        kept = []
        for _ in range(500):
            buffer = cache.take(rng.choice([4, 5, 6]) * KB)
            buffer[:] = mark
            kept = [*kept[-rng.randrange(4) :], buffer]
            assert all((b == mark).all() for b in kept)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_a_buffer_that_dies_while_another_is_taken_does_not_deadlock(cache):
    """A garbage collection can run inside `take`, where the lock is held already."""

    def work():
        with cache._lock:  # as inside `take`
            cycle = [view_in_waiting.pop()]
            cycle.append(cycle)
            del cycle
            gc.collect()

    view_in_waiting = [cache.take(8 * KB)]
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert len(cache._returned) == 1


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork"
)
def test_a_child_forked_while_the_lock_is_held_can_take_buffers():
    child = multiprocessing.get_context("fork").Process(target=_buffers.buffers.take, args=(KB,))
    with _buffers.buffers._lock:
        child.start()
    child.join(60)
    if child.is_alive():
        child.kill()
    assert child.exitcode == 0


@pytest.mark.parametrize("n", [1, 1000, 2**19 + 1], ids=["tiny", "small", "kept for reuse"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_aligned_arrays_start_at_cache_lines_and_are_nobody_elses(n, dtype):
    arrays = [aligned(n, np.dtype(dtype)) for _ in range(3)]
    views = [a[: n // 2 + 1].reshape(-1, 1) for a in arrays]
    del arrays
    for i, view in enumerate(views):
        assert view.ctypes.data % 64 == 0
        view[:] = i
    others = [aligned(n, np.dtype(dtype)) for _ in range(3)]
    for other in others:
        other[:] = 7
    assert [set(view.ravel()) for view in views] == [{0}, {1}, {2}]

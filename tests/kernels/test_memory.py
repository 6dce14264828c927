"""Buffers that are kept for reuse, and layouts that need no copy."""

from __future__ import annotations

import gc
import multiprocessing
import random
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from skspike.kernels import _memory, empty_cache, lif
from skspike.kernels._memory import (
    BufferCache,
    DerivedCache,
    aligned,
    dense_over_time,
    empty_dense,
    is_dense,
    like_layout,
    row,
    rows,
)

KB = 1024


def address(buffer):
    return buffer.__array_interface__["data"][0]


@pytest.fixture
def cache():
    return BufferCache(limit=64 * KB)


@pytest.fixture
def fresh(monkeypatch):
    """Put an empty cache in place of the package's own."""
    monkeypatch.setattr(_memory, "_cache", BufferCache(2**26))


# --- laws of the cache ---


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
    child = multiprocessing.get_context("fork").Process(target=_memory._cache.take, args=(KB,))
    with _memory._cache._lock:
        child.start()
    child.join(60)
    if child.is_alive():
        child.kill()
    assert child.exitcode == 0


# --- tensors from it ---


def test_large_results_reuse_the_memory_of_dead_ones(fresh):
    x = torch.full((4, 2**17), 1.2)
    s, v = lif(x, backend="numba")
    where, expected = s.data_ptr(), s.clone()
    del s
    s, v = lif(x, v, backend="numba")
    assert s.data_ptr() == where
    assert not torch.equal(s, expected)  # the state was carried over: it is not the old result


def test_a_result_held_through_numpy_is_left_alone(fresh):
    x = torch.full((4, 2**17), 1.5)
    held = lif(x, backend="numba")[0].numpy()
    before = held.copy()
    for _ in range(3):
        lif(torch.zeros_like(x), backend="numba")
    np.testing.assert_array_equal(held, before)


def test_empty_cache_gives_the_memory_back(fresh):
    lif(torch.ones(4, 2**17), backend="numba")
    _memory._cache._collect()
    assert _memory._cache._free
    empty_cache()
    assert not _memory._cache._free


@pytest.mark.parametrize("size", [(3, 5), (4, 2**18)], ids=["small", "large"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_empty_dense_has_shape_strides_and_dtype(size, dtype):
    like = torch.empty(size, dtype=dtype).t()
    found = empty_dense(like)
    assert (found.shape, found.stride(), found.dtype) == (like.shape, like.stride(), dtype)
    found.fill_(7)
    assert (found == 7).all()


# --- layouts ---


def channels_last(*shape):
    return torch.randn(shape).movedim(2, -1).contiguous().movedim(-1, 2)


@pytest.mark.parametrize(
    ("x", "dense"),
    [
        (torch.empty(2, 3), True),
        (torch.empty(2, 3).t(), True),
        (torch.empty(2, 3, 4).movedim(0, 1), True),
        (torch.empty(1, 3).expand(2, 3), False),
        (torch.empty(2, 6)[:, ::2], False),
        (torch.empty(4, 6)[:, :3], False),
        (torch.empty(5, 3)[1:], True),
        (torch.empty(6)[::6], True),  # one element
        (torch.empty(()), True),
        (torch.empty(0, 3), True),
    ],
)
def test_is_dense(x, dense):
    assert is_dense(x) == dense


def test_channels_last_passes_without_a_copy(fresh):
    x = channels_last(4, 2, 3, 5, 6)
    assert dense_over_time(x) is x
    s, _ = lif(x, backend="numba")
    assert s.stride() == x.stride()
    assert rows(x).ctypes.data == x.data_ptr()


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(3, 4).t(),
        torch.randn(1, 4).expand(3, 4),
        torch.randn(6, 4)[::2],
        torch.randn(3, 8)[:, ::2],
    ],
)
def test_other_layouts_are_copied(x):
    copy = dense_over_time(x)
    assert copy.is_contiguous()
    assert torch.equal(copy, x)


def test_rows_are_steps_in_the_order_of_memory():
    x = channels_last(4, 2, 3, 5, 6)
    assert rows(x).shape == (4, 180)
    for step, values in zip(x, rows(x), strict=True):
        np.testing.assert_array_equal(values, step.movedim(1, -1).flatten().numpy())
        np.testing.assert_array_equal(values, row(step))


def test_rows_of_a_slice_begin_at_its_first_element():
    x = torch.arange(12.0).reshape(4, 3)[1:]
    assert rows(x).tolist() == x.tolist()
    assert row(x[1]).tolist() == x[1].tolist()


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


def test_like_layout_keeps_values_and_takes_strides():
    like, x = channels_last(1, 2, 3, 4, 5), torch.randn(1, 2, 3, 4, 5)
    found = like_layout(x, like)
    assert found.stride() == like.stride()
    assert torch.equal(found, x)
    assert like_layout(found, like) is found


@pytest.mark.parametrize("n", [4, 2**20], ids=["small", "kept for reuse"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autograd_adds_gradients_up_in_place(n, dtype):
    """What our kernels return for a gradient is taken over, if another is added to it."""

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, dy):
            return empty_dense(dy).fill_(2)

    x = torch.ones(n, dtype=dtype).requires_grad_()
    y = 1 * x
    first = y + 1  # its gradient comes last: autograd goes back in time
    total = Twice.apply(y) + first
    with torch.profiler.profile() as profile:
        total.backward(torch.ones_like(x))
    assert (x.grad == 3).all()
    assert {"aten::add_"} == {e.key for e in profile.key_averages() if "aten::add" in e.key}


# --- what is derived of constants ---


def test_derived_once_for_the_same_values_and_key():
    cache, x, made = DerivedCache(), torch.ones(3), []

    def get(key):
        return cache.get(x, key, lambda: made.append(x.sum().item()) or len(made))

    assert [get("a"), get("a"), get("b"), get("b")] == [1, 1, 2, 2]
    x.add_(1)
    assert get("b") == 3
    cache.clear()
    assert get("b") == 4
    assert made == [3, 3, 6, 6]


def test_nothing_is_kept_of_what_may_change_unseen():
    cache = DerivedCache()
    with torch.inference_mode():
        unversioned = torch.ones(3)
    for x in (torch.ones(3, requires_grad=True), unversioned):
        assert [cache.get(x, "key", object) is cache.get(x, "key", object)] == [False]


def test_what_was_derived_dies_with_its_tensor():
    class Result:
        pass

    cache, x, result = DerivedCache(), torch.ones(3), Result()
    seen = weakref.ref(result)
    cache.get(x, "key", lambda result=result: result)
    del result
    gc.collect()
    assert seen() is not None
    del x
    gc.collect()
    assert seen() is None

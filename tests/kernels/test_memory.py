"""Buffers that are kept for reuse, and layouts that need no copy."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

from skspike._buffers import BufferCache
from skspike.kernels import _memory, empty_cache, lif
from skspike.kernels._memory import (
    DerivedCache,
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
def fresh(monkeypatch):
    """Put an empty cache in place of the package's own."""
    monkeypatch.setattr(_memory, "buffers", BufferCache(2**26))


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
    _memory.buffers._collect()
    assert _memory.buffers._free
    empty_cache()
    assert not _memory.buffers._free


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

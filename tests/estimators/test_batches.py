from __future__ import annotations

import numpy as np
import pytest
import torch

from skspike.estimators import _batches
from skspike.estimators._batches import Batches, Rows

CPU = torch.device("cpu")


def batches_of(X, rows=None, device=CPU, **options) -> Batches:
    """Return batches whose labels are the numbers of the rows."""
    rows = np.arange(len(X)) if rows is None else rows
    return Batches(Rows(X, device), rows, rows, **options)


# --- Batches ---


def test_all_rows_once_in_order_without_a_generator():
    X = np.arange(14).reshape(7, 2)
    batches = batches_of(X, batch_size=3)
    assert len(batches) == 7
    assert [len(x) for x, _ in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([x.numpy() for x, _ in batches]), X)
    np.testing.assert_array_equal(np.concatenate([y.numpy() for _, y in batches]), np.arange(7))


def test_a_new_order_every_iteration_and_the_same_after_the_same_seed():
    def orders():
        rng = np.random.RandomState(3)
        batches = batches_of(np.arange(50), batch_size=8, rng=rng)
        return [np.concatenate([y.numpy() for _, y in batches]) for _ in range(2)]

    first, second = orders()
    np.testing.assert_array_equal(first, np.random.RandomState(3).permutation(50))
    np.testing.assert_array_equal(np.sort(second), np.arange(50))
    assert (first != second).any()
    np.testing.assert_array_equal(orders()[1], second)


def test_x_y_and_weight_stay_together():
    rows = np.array([4, 4, 0, 2])
    weight = rows.astype(np.float32) / 2
    rng = np.random.RandomState(0)
    seen = []
    for x, y in batches_of(np.arange(5) * 10, rows, batch_size=3, weight=weight, rng=rng):
        np.testing.assert_array_equal(x["x"].numpy(), y.numpy() * 10)
        np.testing.assert_array_equal(x["sample_weight"].numpy(), y.numpy() / 2)
        seen += y.tolist()
    assert sorted(seen) == [0, 2, 4, 4]


@pytest.mark.parametrize(
    ("batch_size", "expected"),
    [(2, [[0, 1], [2, 2]]), (1, [[0, 0], [1, 1], [2, 2]]), (4, [[0, 1, 2]])],
)
def test_a_batch_smaller_than_the_minimum_repeats_its_rows(batch_size, expected):
    batches = batches_of(np.arange(3), batch_size=batch_size, min_size=2)
    assert [y.tolist() for _, y in batches] == expected
    assert [x.tolist() for x, _ in batches] == expected


# --- Rows ---


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int16", "float16", "float32", "float64"])
def test_compact_dtypes_stay_compact(dtype):
    ((x, _),) = batches_of(np.ones((2, 3), dtype), batch_size=2)
    assert str(x.dtype) == f"torch.{dtype}"


@pytest.mark.parametrize("dtype", [np.longdouble, ">f4", ">i2", "uint16", "uint64"])
def test_dtypes_that_torch_lacks_become_float32(dtype):
    X = np.arange(6).reshape(3, 2).astype(dtype)
    ((batch, _),) = batches_of(X[1:], batch_size=2)
    for x in (batch, Rows(X, CPU).take(slice(1, 3))):
        assert x.dtype == torch.float32
        assert x.tolist() == [[2, 3], [4, 5]]


@pytest.mark.parametrize(
    "view",
    [
        lambda X: X[::-2, ::3],
        lambda X: X[::2, 1:],
        lambda X: X[::-1, :1][:, ::-1],
        lambda X: np.asfortranarray(X),
        lambda X: np.broadcast_to(X[:1], X.shape),
        lambda X: X.view([("a", "f8"), ("b", "f4"), ("c", "f4")])["a"][:, 0],
        lambda X: X.view([("a", "f4"), ("b", "f8"), ("c", "f4")])["b"][:, 0],
    ],
)
@pytest.mark.parametrize("writeable", [True, False])
def test_read_only_and_strided_arrays_are_read_without_a_warning(view, writeable, recwarn):
    X = view(np.random.default_rng(0).random((6, 8)))
    if X.flags.writeable and not writeable:
        X.flags.writeable = False
    rows, data = np.array([2, 0, 2]), Rows(X, CPU)
    np.testing.assert_array_equal(data.take(data.index(rows)).numpy(), X[rows])
    for part in (slice(1, 3), slice(0, 1)):
        np.testing.assert_array_equal(data.take(part).numpy(), X[part])
    assert not recwarn.list


@pytest.mark.parametrize("mode", ["r", "c", "ram", "frozen"])
def test_on_the_cpu_rows_are_read_where_they_lie(mode, tmp_path):
    X = np.arange(12, dtype=np.uint8).reshape(4, 3)
    if mode in ("r", "c"):
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode=mode)
    X.flags.writeable = X.flags.writeable and mode != "frozen"
    address = X.ctypes.data
    data = Rows(X, CPU)
    del X  # the memory belongs to whoever reads it
    assert data.take(slice(0, 2)).data_ptr() == address
    assert data.take(slice(2, 4)).tolist() == [[6, 7, 8], [9, 10, 11]]


@pytest.mark.parametrize(("free", "resident"), [(97 * 4, True), (96 * 4, False)])
def test_what_takes_less_than_a_quarter_of_the_free_memory_moves_there(free, resident, monkeypatch):
    monkeypatch.setattr(_batches, "_free_memory", lambda device: free)
    data = Rows(np.zeros((4, 3)), torch.device("meta"))  # 96 bytes, and a device of every machine
    assert data.resident is resident
    assert data.index(np.arange(2)).device.type == ("meta" if resident else "cpu")


def test_rows_that_do_not_fit_are_staged(monkeypatch):
    """Without a CUDA device no memory can be pinned: the rest of the way is tested all the same."""
    monkeypatch.setattr(_batches, "_free_memory", lambda device: 0)
    staged = []

    def pinned(x, index):
        staged.append(_batches._select(x, index))
        return staged[-1]

    monkeypatch.setattr(_batches, "_pinned", pinned)
    X = np.arange(12, dtype=np.uint8).reshape(4, 3)
    data = Rows(X, torch.device("meta"))
    rows = np.array([3, 1])
    assert data.take(data.index(rows)).device.type == "meta"
    assert staged[0].tolist() == X[rows].tolist()
    assert data.take(slice(0, 2)).shape == (2, 3)
    assert staged[1].tolist() == X[:2].tolist()
    assert Rows(X.astype(">i4"), torch.device("meta")).take(slice(0, 2)).dtype == torch.float32


@pytest.mark.gpu
@pytest.mark.parametrize("free", [0, None])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_batches_on_cuda(free, dtype, monkeypatch):
    if free is not None:
        monkeypatch.setattr(_batches, "_free_memory", lambda device: free)
    X = np.arange(3000).reshape(1000, 3).astype(dtype)
    rng = np.random.RandomState(0)
    batches = list(batches_of(X, device=torch.device("cuda", 0), batch_size=64, rng=rng))
    assert {x.device.type for x, _ in batches} == {"cuda"}
    for x, y in batches:
        np.testing.assert_array_equal(x.cpu().numpy(), X[y.cpu().numpy()])

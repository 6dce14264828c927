"""Numbers in compiled templates: bfloat16 against torch's own conversion, sums and powers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from skspike._compile_numba import specialize
from skspike._floats_numba import (
    add_reordered,
    exp_float32,
    load_bfloat16,
    multiply_add,
    store_bfloat16,
)

load = store = add = real = None  # bound by `specialize`


def _load_all(bits, values):
    for i in range(bits.size):
        values[i] = load(bits[i])


def _store_all(values, bits):
    for i in range(values.size):
        bits[i] = store(values[i])


def _sum_all(values):
    total = real(0)
    for i in range(values.size):
        total = add(total, values[i])
    return total


def test_every_bfloat16_is_read_as_its_value():
    bits = np.arange(2**16, dtype=np.uint16)
    values = np.empty(2**16, np.float32)
    specialize(_load_all, load=load_bfloat16)(bits, values)
    expected = torch.from_numpy(bits).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(values, expected)


def test_values_are_rounded_to_the_nearest_with_ties_to_even():
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 2**32, 100_000, dtype=np.uint32)
    patterns[:3000] = (patterns[:3000] & 0xFFFF0000) | 0x8000  # ties
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, 1e-45], np.float32)
    values = np.concatenate([patterns.view(np.float32), special])
    bits = np.empty(values.size, np.uint16)
    specialize(_store_all, store=store_bfloat16)(values, bits)
    found = torch.from_numpy(bits).view(torch.bfloat16).float().numpy()
    expected = torch.from_numpy(values).bfloat16().float().numpy()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reordered_sums(dtype):
    for n in (0, 1, 3, 1000, 100_003):
        values = np.random.default_rng(0).normal(size=n).astype(dtype)
        total = specialize(_sum_all, add=add_reordered, real=dtype)(values)
        tolerance = 16 * np.finfo(dtype).eps * np.abs(values).sum()
        assert abs(total - math.fsum(values)) <= tolerance


def test_reordered_sums_add_several_numbers_at_once():
    """One by one, the small numbers would all vanish beside the large one."""
    values = np.full(2**20, 2**-25, np.float32)
    values[0] = 1
    total = specialize(_sum_all, add=add_reordered, real=np.float32)(values)
    assert np.cumsum(values)[-1] == 1
    assert 1.01 < total < 1.04


def test_exponentials_of_float32():
    x = np.concatenate([np.linspace(-87, 88, 100_001), [-0.0, 1e-30, 1, -1, 1e-8]])
    x = x.astype(np.float32)
    found, expected = np.empty_like(x), np.exp(x.astype(np.float64))
    specialize(_load_all, load=exp_float32, real=np.float32)(x, found)
    assert np.abs(found / expected - 1).max() < 2**-22
    far = np.array([-np.inf, -1e4, 1e4, np.inf, np.nan], np.float32)
    specialize(_load_all, load=exp_float32, real=np.float32)(far, ends := np.empty_like(far))
    np.testing.assert_array_equal(ends, found[[0, 0, 100_000, 100_000, -1]] * [1, 1, 1, 1, np.nan])


def _multiply_add_all(a, b, c, values):
    for i in range(values.size):
        values[i] = multiply_add(a[i], b[i], c[i])


def test_a_product_and_a_sum_are_rounded_at_most_twice():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 1000)).astype(np.float32)
    values = np.empty(1000, np.float32)
    specialize(_multiply_add_all, real=np.float32)(a, b, c, values)
    product = a.astype(float) * b
    spacing = np.spacing(np.abs(product).astype(np.float32)) + np.spacing(np.abs(values))
    assert (np.abs(values - (product + c)) <= spacing / 2).all()

"""bfloat16 in compiled templates, against torch's own conversion."""

from __future__ import annotations

import numpy as np
import torch

from skspike._compile_numba import specialize
from skspike._floats_numba import load_bfloat16, store_bfloat16

load = store = None  # bound by `specialize`


def _load_all(bits, values):
    for i in range(bits.size):
        values[i] = load(bits[i])


def _store_all(values, bits):
    for i in range(values.size):
        bits[i] = store(values[i])


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

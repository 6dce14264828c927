"""Plans of transforms: passes, and where their roots lie."""

from __future__ import annotations

import math

import numpy as np
import pytest

from skspike.kernels._ssm_conv_tables import half_roots, make_plan


@pytest.mark.parametrize("n", [8, 16, 32, 512, 4096])
def test_plans_split_to_the_end(n):
    plan = make_plan(n, np.dtype(np.float64))
    assert math.prod(plan.radices) == n
    assert list(plan.sizes) == [n // math.prod(plan.radices[:i]) for i in range(len(plan.radices))]
    n_roots = plan.sizes // np.maximum(plan.radices, 1) * (plan.radices - 1)
    assert list(plan.starts) == [2 * n_roots[:i].sum() for i in range(len(n_roots))]
    assert len(plan.table) == 2 * n_roots.sum()


def test_roots():
    roots = half_roots(8, np.dtype(np.float64)).reshape(8, 2)
    expected = np.exp(-1j * np.pi * np.arange(8) / 8)
    np.testing.assert_allclose(roots[:, 0] + 1j * roots[:, 1], expected, rtol=0, atol=1e-15)

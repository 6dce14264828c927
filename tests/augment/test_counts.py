from __future__ import annotations

import pytest
import torch
from scipy import stats

from skspike.augment._counts import narrow, thin, widen
from tests.augment.common import counts, seeded

HALF = torch.tensor([0.5])


@pytest.mark.parametrize(
    ("dtype", "limits"),
    [
        (torch.uint8, (0, 255)),
        (torch.int8, (-128, 127)),
        (torch.int32, (-(2**31), 2**31 - 1)),
        (torch.int64, (-(2**53), 2**53)),
    ],
)
def test_what_a_dtype_cannot_hold_is_clipped(dtype, limits):
    wide = torch.tensor([-1e18, 3.0, 1e18], dtype=torch.float64)
    assert narrow(wide, dtype).tolist() == [limits[0], 3, limits[1]]


def test_flags_are_counts_of_nothing_or_something():
    assert narrow(torch.tensor([0.0, 1.0, 2.0]), torch.bool).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("dtype", "wide"),
    [(torch.uint8, torch.float32), (torch.int64, torch.float64), (torch.bfloat16, torch.float32)],
)
def test_counts_are_computed_in_a_dtype_that_holds_them(dtype, wide):
    assert widen(torch.zeros(1, dtype=dtype)).dtype == wide


def test_each_event_is_kept_by_its_own_draw():
    x = torch.full((20_000,), 3, dtype=torch.uint8)
    kept = thin(x, torch.tensor([0.3]), seeded())
    number = torch.bincount(kept.long(), minlength=4)
    expected = stats.binom(3, 0.3).pmf(range(4)) * len(x)
    assert stats.chisquare(number, expected).pvalue > 0.01


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.float32, torch.float64])
def test_all_or_nothing_is_exact(dtype):
    x = counts(500, high=100, dtype=dtype)
    assert torch.equal(thin(x, torch.ones(1), seeded()), x)
    assert not thin(x, torch.zeros(1), seeded()).any()


def test_signs_are_kept():
    x = torch.tensor([-4, 4], dtype=torch.int8).repeat(5000)
    kept = thin(x, HALF, seeded()).float().reshape(-1, 2)
    assert (kept[:, 0] <= 0).all()
    assert (kept[:, 1] >= 0).all()
    torch.testing.assert_close(kept.mean(dim=0), torch.tensor([-2.0, 2.0]), atol=0.1, rtol=0)


def test_a_fraction_is_kept_or_dropped_as_a_whole():
    kept = thin(torch.full((8000,), 0.25), HALF, seeded())
    assert kept.unique().tolist() == [0.0, 0.25]
    assert kept.mean().item() == pytest.approx(0.125, abs=0.01)

from __future__ import annotations

import numpy as np
import pytest
import torch

from skspike.augment._pixels import (
    box,
    check_length,
    gather_pixels,
    length_of,
    rows_and_columns,
)
from tests.augment.common import counts


@pytest.mark.parametrize(
    ("value", "pixels"), [(3, 3), (np.int64(3), 3), (0.25, 2), (0.3, 3), (0.0, 0), (1.0, 9)]
)
def test_a_length_is_pixels_or_a_share(value, pixels):
    check_length("Shift", "max_shift", value)
    assert length_of(value, 9) == pixels


def test_a_length_is_no_flag():
    with pytest.raises(TypeError, match="'size' parameter of Cutout must be an int"):
        check_length("Cutout", "size", True)


@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (3, 2, 2, 4, 5)])
def test_pixels_are_read_one_by_one_and_zero_off_the_map(shape):
    x = counts(*shape, high=200) + 1
    rng = np.random.default_rng(0)
    row = torch.from_numpy(rng.integers(-2, 7, (3, 4, 5)))
    column = torch.from_numpy(rng.integers(-2, 7, (3, 4, 5)))
    moved = gather_pixels(x, row, column)
    expected = torch.zeros_like(x)
    for n, h, w in np.ndindex(3, 4, 5):
        r, c = row[n, h, w], column[n, h, w]
        if 0 <= r < 4 and 0 <= c < 5:
            expected[n, ..., h, w] = x[n, ..., r, c]
    assert torch.equal(moved, expected)


def test_rows_and_columns_read_a_map_as_it_is():
    x = counts(2, 3, 4, 5)
    assert torch.equal(gather_pixels(x, *rows_and_columns(x)), x)


def test_a_box_is_cut_off_at_the_edges():
    x = torch.empty(3, 4, 5)
    corner = torch.tensor([-1, 1, 3])
    covered = box(x, corner, corner, torch.tensor([2, 2, 9]), torch.tensor([3, 0, 9]))
    expected = torch.zeros(3, 4, 5, dtype=torch.bool)
    expected[0, :1, :2] = True
    expected[2, 3:, 3:] = True
    assert torch.equal(covered, expected)

from __future__ import annotations

import pytest
import torch

from skspike.augment import Cutout
from tests.augment.common import counts, seeded


def test_a_hole_of_nothing_is_nothing():
    x = counts(5, 3, 2, 4, 7)
    assert torch.equal(Cutout(size=0)(x, None, seeded())[0], x)
    assert torch.equal(Cutout(size=3, p=0.0)(x, None, seeded())[0], x)


@pytest.mark.parametrize(("size", "height", "width"), [(3, 3, 3), (0.5, 4, 6)])
def test_the_hole_is_one_box_in_all_steps_and_channels(size, height, width):
    x = torch.ones(300, 2, 2, 8, 12, dtype=torch.uint8)
    holed, _ = Cutout(size=size)(x, None, seeded())
    hole = holed == 0
    assert torch.equal(hole, hole[:, :1, :1].expand_as(hole))
    rows, columns = hole[:, 0, 0].any(dim=2), hole[:, 0, 0].any(dim=1)
    assert torch.equal(hole[:, 0, 0], rows[:, :, None] & columns[:, None, :])
    assert rows.sum(dim=1).max() == height
    assert columns.sum(dim=1).max() == width
    # cut off at the edges, but never beyond the middle: the centre is a pixel
    assert rows.sum(dim=1).min() >= height // 2
    assert columns.sum(dim=1).min() >= width // 2


def test_every_pixel_is_the_centre_equally_often():
    x = torch.ones(6000, 1, 3, 4)
    hit = 1 - Cutout(size=1)(x, None, seeded())[0].mean(dim=(0, 1))
    torch.testing.assert_close(hit, torch.full((3, 4), 1 / 12), atol=0.015, rtol=0)

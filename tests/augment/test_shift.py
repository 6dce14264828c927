from __future__ import annotations

import pytest
import torch

from skspike.augment import Shift
from tests.augment.common import by_sample, counts, seeded


def dots(n: int = 3000, height: int = 7, width: int = 9) -> torch.Tensor:
    """Return maps with one event in the middle."""
    x = torch.zeros(n, 1, height, width)
    x[..., height // 2, width // 2] = 1
    return x


@pytest.mark.parametrize("fill", ["roll", "zero"])
def test_a_shift_by_nothing_is_nothing(fill):
    x = counts(5, 3, 2, 4, 7)
    assert torch.equal(Shift(max_shift=0, fill=fill)(x, None, seeded())[0], x)
    assert torch.equal(Shift(max_shift=3, fill=fill, p=0.0)(x, None, seeded())[0], x)


def test_rolling_keeps_all_events_and_is_torch_roll():
    x = counts(20, 3, 2, 4, 7)
    moved, _ = Shift(max_shift=9)(x, None, seeded())
    assert torch.equal(by_sample(moved), by_sample(x))
    for before, after in zip(x, moved, strict=True):
        assert any(
            torch.equal(after, before.roll((dy, dx), (-2, -1)))
            for dy in range(4)
            for dx in range(7)
        )


def test_what_leaves_the_map_is_lost_and_nothing_comes_in():
    x = torch.ones(500, 1, 4, 4)
    moved, _ = Shift(max_shift=1, fill="zero")(x, None, seeded())
    assert sorted(by_sample(moved).unique().tolist()) == [9.0, 12.0, 16.0]
    assert not Shift(max_shift=50, fill="zero")(x, None, seeded())[0].all()


@pytest.mark.parametrize(("max_shift", "down", "right"), [(2, 2, 2), (0.3, 2, 3)])
def test_every_shift_occurs_equally_often(max_shift, down, right):
    where = Shift(max_shift=max_shift)(dots(), None, seeded())[0].mean(dim=(0, 1))
    inside = where[3 - down : 4 + down, 4 - right : 5 + right]
    assert inside.sum().item() == pytest.approx(1, abs=1e-5)
    share = 1 / ((2 * down + 1) * (2 * right + 1))
    torch.testing.assert_close(inside, torch.full_like(inside, share), atol=0.35 * share, rtol=0)

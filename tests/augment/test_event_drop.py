from __future__ import annotations

import pytest
import torch

from skspike.augment import EventDrop
from skspike.augment._event_drop import _outside_interval
from tests.augment.common import by_sample, counts, seeded


def test_events_are_dropped_never_made():
    x = counts(50, 4, 2, 6, 7)
    kept, _ = EventDrop()(x, None, seeded())
    assert (kept <= x).all()
    assert kept.dtype == torch.uint8


def test_one_sample_in_four_is_left_alone():
    x = torch.full((2000, 4, 2, 6, 7), 2, dtype=torch.uint8)
    kept, _ = EventDrop()(x, None, seeded())
    alone = (by_sample(kept) == by_sample(x)).float().mean().item()
    assert alone == pytest.approx(0.25, abs=0.04)


def test_random_drop_takes_the_published_shares():
    x = torch.full((2000, 4000), 1, dtype=torch.uint8)
    share = 1 - by_sample(EventDrop(("random",))(x, None, seeded())[0]) / 4000
    tenths = (share * 10).round()
    torch.testing.assert_close(share, tenths / 10, atol=0.035, rtol=0)
    assert tenths.unique().tolist() == list(range(10))  # 0: half of the samples


def test_an_interval_is_dropped_at_all_places_alike():
    x = torch.full((400, 20, 2, 3, 3), 100, dtype=torch.uint8)
    kept, _ = EventDrop(("time",))(x, None, seeded())
    by_step = kept.double().mean(dim=(2, 3, 4)) / 100
    empty, full = by_step == 0, by_step == 1
    # one interval: two steps at most are touched in part
    assert (~empty & ~full).sum(dim=1).max() <= 2
    touched = ~full
    begins = (touched[:, 1:] & ~touched[:, :-1]).sum(dim=1) + touched[:, 0]
    assert begins.max() == 1
    assert empty.any(dim=1).float().mean() > 0.3


@pytest.mark.parametrize(
    ("start", "length", "left"),
    [
        (0.0, 0.5, [0, 0, 1, 1]),
        (0.125, 0.25, [0.5, 0.5, 1, 1]),
        (0.3, 0.1, [1, 0.6, 1, 1]),
        (0.875, 0.9, [1, 1, 1, 0.5]),
    ],
)
def test_a_step_loses_the_part_that_the_interval_covers(start, length, left):
    outside = _outside_interval(
        torch.empty(1, 4, 2, 3, 3), torch.tensor([start]), torch.tensor([length])
    )
    assert outside.shape == (1, 4, 1, 1, 1)
    torch.testing.assert_close(outside.flatten(), torch.tensor(left, dtype=torch.float32))


def test_a_box_is_dropped_at_all_steps():
    x = torch.full((500, 3, 2, 20, 40), 3, dtype=torch.uint8)
    kept, _ = EventDrop(("area",))(x, None, seeded())
    hole = (kept == 0)[:, 0, 0]
    assert torch.equal(kept == 0, hole[:, None, None].expand_as(kept))
    rows, columns = hole.any(dim=2), hole.any(dim=1)
    assert torch.equal(hole, rows[:, :, None] & columns[:, None, :])
    # sides of 5, 10, 15, 20 or 25 per cent, unless cut off at the right or lower edge
    whole = ~rows[:, -1] & ~columns[:, -1] & hole.flatten(1).any(dim=1)
    sizes = set(zip(rows.sum(1)[whole].tolist(), columns.sum(1)[whole].tolist(), strict=True))
    assert sizes == {(k, 2 * k) for k in range(1, 6)}


def test_no_sample_loses_all_its_events():
    x = torch.zeros(200, 6, dtype=torch.uint8)
    x[:, 0] = 1
    x[0] = 0
    kept, _ = EventDrop(("random",), max_ratio=1.0)(x, None, seeded())
    assert torch.equal(kept, x)


def test_nothing_is_dropped_where_the_largest_share_is_zero():
    x = counts(20, 4, 2, 6, 7)
    assert torch.equal(EventDrop(max_ratio=0.0, max_area=0.0)(x, None, seeded())[0], x)

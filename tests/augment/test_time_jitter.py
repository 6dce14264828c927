from __future__ import annotations

import pytest
import torch

from skspike.augment import TimeJitter
from tests.augment.common import by_sample, counts, seeded


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int64, torch.float32])
@pytest.mark.parametrize("n_steps", [1, 2, 6])
def test_every_event_is_kept_in_its_pixel(dtype, n_steps):
    x = counts(8, n_steps, 2, 4, 3, dtype=dtype)
    moved, _ = TimeJitter(share=0.7)(x, None, seeded())
    assert torch.equal(moved.double().sum(dim=1), x.double().sum(dim=1))
    assert (n_steps == 1) == torch.equal(moved, x)


def test_nothing_moves_without_a_share():
    x = counts(8, 5, 2, 4, 3)
    assert torch.equal(TimeJitter(share=0.0)(x, None, seeded())[0], x)


def test_events_move_by_one_step_in_both_directions_alike():
    x = torch.zeros(4000, 5, 1)
    x[:, 2] = 10
    moved = TimeJitter(share=0.4)(x, None, seeded())[0].mean(dim=0).flatten()
    torch.testing.assert_close(moved, torch.tensor([0.0, 2.0, 6.0, 2.0, 0.0]), atol=0.1, rtol=0)


def test_at_the_ends_events_stay_in_the_recording():
    x = torch.zeros(4000, 2, 1)
    x[:, 0] = 10
    moved = TimeJitter(share=0.4)(x, None, seeded())[0].mean(dim=0).flatten()
    torch.testing.assert_close(moved, torch.tensor([8.0, 2.0]), atol=0.1, rtol=0)


def test_counts_that_meet_are_clipped_by_the_dtype():
    x = torch.full((50, 3, 4), 255, dtype=torch.uint8)
    moved, _ = TimeJitter(share=0.5)(x, None, seeded())
    assert moved.max() == 255
    assert moved.float().mean() > 200


def test_recordings_are_moved_as_a_whole():
    x = counts(60, 5, 2, 4, 3)
    moved, _ = TimeJitter(share=0.0, max_shift=2)(x, None, seeded())
    padded = torch.cat([torch.zeros_like(x), x, torch.zeros_like(x)], dim=1)
    seen = set()
    for before, after in zip(padded, moved, strict=True):
        by = [d for d in range(-2, 3) if torch.equal(after, before[5 - d : 10 - d])]
        assert len(by) == 1
        seen.update(by)
    assert seen == {-2, -1, 0, 1, 2}


def test_a_shift_beyond_the_recording_empties_it():
    x = counts(300, 2, 3) + 1
    moved, _ = TimeJitter(share=0.0, max_shift=40)(x, None, seeded())
    assert (by_sample(moved) == 0).float().mean() > 0.9

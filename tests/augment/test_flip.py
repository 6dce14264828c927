from __future__ import annotations

import pytest
import torch

from skspike.augment import Flip, PolarityFlip
from tests.augment.common import by_sample, counts, seeded

ALWAYS = [Flip(p=1.0), Flip("vertical", p=1.0), PolarityFlip(p=1.0)]


@pytest.mark.parametrize("flip", ALWAYS, ids=repr)
def test_twice_is_nothing(flip):
    x = counts(5, 3, 2, 4, 7)
    once, _ = flip(x, None, seeded())
    assert not torch.equal(once, x)
    assert torch.equal(flip(once, None, seeded())[0], x)
    assert torch.equal(by_sample(once), by_sample(x))


def test_which_axis():
    x = counts(5, 3, 2, 4, 7)
    expected = [x.flip(4), x.flip(3), x[:, :, [1, 0]]]
    for flip, mirrored in zip(ALWAYS, expected, strict=True):
        assert torch.equal(flip(x, None, seeded())[0], mirrored)


@pytest.mark.parametrize("make", [Flip, PolarityFlip])
def test_the_share_of_samples_that_change(make):
    x = counts(1, 2, 4, 7).expand(4000, -1, -1, -1)
    changed = (make(p=0.2)(x, None, seeded())[0] != x).flatten(1).any(dim=1)
    assert changed.float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert torch.equal(make(p=0.0)(x, None, seeded())[0], x)
